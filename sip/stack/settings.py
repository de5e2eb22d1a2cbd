"""Our options in PJSUA2's own words: the stack, one account, one operation on a call."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import pjsua2 as pj

from sip import messages as m
from sip.border import SipError
from sip.options import Transport
from sip.stack.border import Log
from sip.trunks import our_uri

TLS_HANDSHAKE_MS = 4000
"Who listens but speaks no TLS says nothing at all; PJSIP would wait for ever."
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
    config.medConfig.hasIoqueue, config.medConfig.threadCnt = False, 0
    writer = Log()
    writer.__disown__()  # libDestroy deletes it
    config.logConfig.writer = writer
    config.logConfig.level = config.logConfig.consoleLevel = options.log_level
    config.logConfig.decor, config.logConfig.msgLogging = 0, False
    return config


def transport_config(options: m.EndpointOptions, kind: Transport, port: int) -> Any:
    config = pj.TransportConfig()
    config.boundAddress, config.port, config.publicAddress = options.host, port, options.public_host
    if kind != "tls":
        return config
    tls = config.tlsConfig
    tls.proto = pj.PJ_SSL_SOCK_PROTO_TLS1_2 | pj.PJ_SSL_SOCK_PROTO_TLS1_3
    tls.certFile, tls.privKeyFile = options.tls_certificate, options.tls_key
    tls.CaListFile, tls.CaListPath = (options.tls_ca, "") if options.tls_ca else system_authorities()
    tls.verifyServer = options.tls_verify
    tls.verifyClient = tls.requireClientCert = options.tls_require_client
    tls.msecTimeout = TLS_HANDSHAKE_MS
    return config


def system_authorities() -> tuple[str, str]:
    """File and folder of the certificates that this machine believes; empty what is not there."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or "", paths.capath or ""


def check_certificates(options: m.EndpointOptions) -> None:
    """Raises SipError naming the file and what is wrong with it. The stack would listen, and refuse everybody."""
    if options.tls_port < 0:
        return
    if bool(options.tls_certificate) != bool(options.tls_key):
        raise SipError("tls: a certificate needs its key, and a key its certificate")
    pairs = ((options.tls_certificate, options.tls_key), (options.tls_ca, ""))
    for path, key in pairs:
        if path and (problem := pj.puenteCertificateProblem(path, key)):
            raise SipError(f"tls: {path} {problem}")


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
    # Registrations are ours (sip.registrar), and so is what a partner is told as our address (native/hop.c).
    config.natConfig.contactRewriteUse = config.natConfig.viaRewriteUse = config.natConfig.sipOutboundUse = 0
    config.natConfig.contactUseSrcPort = 0  # it would look the name up, wait for it, and connect for nothing
    config.natConfig.udpKaIntervalSec = 0
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
