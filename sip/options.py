"""What the SIP stack must know before it starts: itself, its partners, and where they are."""

from __future__ import annotations

from typing import Literal

import msgspec

Transport = Literal["udp", "tcp", "tls"]


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """One address of a partner: where a request is sent, whatever its URI says (RFC 3263, 4)."""

    address: str
    "IP address, without brackets."
    port: int
    transport: Transport = "udp"
    name: str = ""
    "The name that led here; the certificate must be for it (RFC 5922, 7.1). Empty: for the address."

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port};transport={self.transport}"


class TrunkAccount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One SIP partner as the SIP stack sees it."""

    name: str
    kind: Literal["peer", "register"]
    "`peer`: known by its source address. `register`: we register with digest; calls come over that registration."
    sources: tuple[str, ...] = ()
    "Addresses or CIDR ranges that may send us INVITEs. For `register` the registrar's own address is always included."
    domain: str = ""
    "Host part of our own identity (From) on this trunk, and of the request URI when dialling a bare number."
    registrar: str = ""
    "SIP URI of the registrar, e.g. `sip:sip.partner.example:5060;transport=udp`. Only for `register`."
    username: str = ""
    password: str = ""
    realm: str = "*"
    proxy: str = ""
    "Outbound proxy URI, empty for none. Outbound calls of a `peer` trunk go here too."
    expires_s: int = 300
    retry_s: int = 5
    "First wait after a failed registration; grows with dice up to 60 times this."
    transport: Transport = "udp"
    targets: tuple[Target, ...] = ()
    """Where the partner is, best first, as the control process has looked it up. The stack itself resolves nothing.

    Empty: addresses in `registrar` and `proxy` are taken as they stand. Replaced by `SetTargets`.
    """
    contact_user: str = ""
    """User part of our Contact where we register; empty: `username`.

    Of several trunks with the same addresses, an INVITE to it is of this one. From other addresses it counts for
    nothing: it is no secret, and often the number that everybody dials.
    """
    inbound_username: str = ""
    "A partner without fixed addresses: an INVITE whose From or Authorization bears this name is asked for digest."
    inbound_password: str = ""
    session_timer: Literal["off", "optional", "required"] = "optional"
    session_expires_s: int = 1800
    min_se_s: int = 90
    "RFC 4028, 4 and 5."
    prack: Literal["off", "optional", "required"] = "optional"
    keep_alive_s: int = 15
    "A newline to the partner as often, so that a NAT keeps the way open (UDP; RFC 5626, 3.5.1). 0: never."
    public_host: str = ""
    "What this partner is to be told as our address. Empty: that of `EndpointOptions`."
    calls_per_s: float = 0.0
    "INVITEs above it are refused with 503 and Retry-After before they cost anything. 0: no limit."

    def __repr__(self) -> str:  # passwords must not reach a log
        return f"<TrunkAccount {self.name} {self.kind} {self.registrar or ','.join(self.sources)}>"


class EndpointOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The SIP stack itself."""

    host: str = "127.0.0.1"
    public_host: str = ""
    "What we write into Contact and Via when it differs from `host` (NAT). Empty: `host`."
    udp_port: int = 5060
    "0: any free port, told by `Started`. -1: no UDP."
    tcp_port: int = 5060
    "0: any free port. -1: no TCP."
    tls_port: int = -1
    "0: any free port. -1: no TLS, neither to be called nor to call."
    tls_certificate: str = ""
    "PEM file with our certificate and its chain; `tls_key` its key. Without them we can call, and not be called."
    tls_key: str = ""
    tls_ca: str = ""
    "PEM file of those whose certificates we believe. Empty: the system's."
    tls_verify: bool = True
    "Certificates of those we call are checked, name and date included."
    tls_require_client: bool = False
    "Those who call us by TLS must show a certificate that we believe."
    max_calls: int = 1024
    transaction_timeout_ms: int = 8000
    "PJSIP's tsx.td: how long a dead peer is waited for, and how long an answered INVITE is remembered (60 kB each)."
    user_agent: str = "Puente"
    log_level: int = 2
