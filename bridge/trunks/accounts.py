"""From a trunk's settings to what the SIP stack must know of it. Reads the secrets that the settings point to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.config import TrunkSection, secret
from sip.options import Target, TrunkAccount


def account(trunk: TrunkSection, environ: Mapping[str, str], targets: Sequence[Target] = ()) -> TrunkAccount:
    """Raises SecretMissing. `targets`: where it is, as far as that is known already."""
    return TrunkAccount(
        name=trunk.name,
        kind=trunk.kind,
        sources=trunk.sources,
        domain=trunk.domain,
        registrar=trunk.registrar,
        username=trunk.username,
        password=secret(trunk.password_env, trunk.password_file, environ),
        realm=trunk.realm,
        proxy=trunk.proxy,
        expires_s=trunk.expires_s,
        retry_s=trunk.retry_s,
        transport=trunk.transport,
        targets=tuple(targets),
        contact_user=trunk.contact_user,
        inbound_username=trunk.inbound_username,
        inbound_password=secret(trunk.inbound_password_env, trunk.inbound_password_file, environ),
        session_timer=trunk.session_timer,
        session_expires_s=trunk.session_expires_s,
        min_se_s=trunk.min_se_s,
        prack=trunk.prack,
        keep_alive_s=trunk.keep_alive_s,
        public_host=trunk.public_host,
        calls_per_s=trunk.calls_per_s,
    )
