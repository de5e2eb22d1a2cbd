"""Our options in PJSUA2's own words: the stack, one account, one operation on a call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pjsua2 as pj

from sip import messages as m
from sip.stack.border import Log
from sip.trunks import our_uri

MIN_SE_S = 90
"The shortest session interval there may be (RFC 4028, 4); with less PJSIP would refuse every call."
PRACK = {
    "off": pj.PJSUA_100REL_NOT_USED,
    "optional": pj.PJSUA_100REL_OPTIONAL,
    "required": pj.PJSUA_100REL_MANDATORY,
}
SESSION_TIMER = {
    "off": pj.PJSUA_SIP_TIMER_INACTIVE,
    "optional": pj.PJSUA_SIP_TIMER_OPTIONAL,
    "required": pj.PJSUA_SIP_TIMER_REQUIRED,
}


def endpoint_config(options: m.EndpointOptions) -> Any:
    config = pj.EpConfig()
    config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly = 0, True
    config.uaConfig.maxCalls = options.max_calls
    config.uaConfig.userAgent = options.user_agent
    for server in options.name_servers:
        config.uaConfig.nameserver.append(server)
    config.medConfig.hasIoqueue, config.medConfig.threadCnt = False, 0
    writer = Log()
    writer.__disown__()  # libDestroy deletes it
    config.logConfig.writer = writer
    config.logConfig.level = config.logConfig.consoleLevel = options.log_level
    config.logConfig.decor, config.logConfig.msgLogging = 0, False
    return config


def account_config(trunk: m.TrunkAccount, host: str) -> Any:
    config = pj.AccountConfig()
    config.idUri = our_uri(trunk, host)
    config.mediaConfig.useLoopMedTp = True  # no sockets: RTP belongs to the media workers
    config.mediaConfig.lockCodecEnabled = False  # no re-INVITE of its own when an answer lists two codecs
    config.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_OPTIONAL  # otherwise PJSUA refuses RTP/SAVP before we are asked
    config.mediaConfig.srtpSecureSignaling = 0
    config.callConfig.prackUse = PRACK[trunk.prack]
    config.callConfig.timerUse = SESSION_TIMER[trunk.session_timer]
    config.callConfig.timerMinSESec = max(trunk.min_se_s, MIN_SE_S)
    config.callConfig.timerSessExpiresSec = max(trunk.session_expires_s, trunk.min_se_s, MIN_SE_S)
    if trunk.proxy:
        config.sipConfig.proxies.append(trunk.proxy if ";lr" in trunk.proxy else f"{trunk.proxy};lr")
    if trunk.username:
        config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", trunk.realm, trunk.username, 0, trunk.password))
    if trunk.kind == "register":
        config.regConfig.registrarUri = trunk.registrar
        config.regConfig.timeoutSec = trunk.expires_s
        config.regConfig.retryIntervalSec = 0  # PJSUA would retry at a fixed pace; sip.trunks has the dice
    return config


def call_prm(status: int) -> Any:
    prm = pj.CallOpParam()
    prm.statusCode = status
    prm.opt.audioCount, prm.opt.videoCount, prm.opt.textCount = 1, 0, 0  # 2.17 offers m=text by default
    return prm


def add_headers(prm: Any, headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        prm.txOption.headers.append(header)
