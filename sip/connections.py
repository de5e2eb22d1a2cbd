"""What became of a connection that we made, in words that an operator can act on. Pure."""

from __future__ import annotations

from dataclasses import dataclass

WRONG_CERTIFICATE = (
    (1 << 30, "it is not for {name}"),
    (1 << 2, "it has expired, or is not valid yet"),
    (1 << 7, "it has been revoked"),
    (1 << 0 | 1 << 1 | 1 << 5 | 1 << 8, "it is from an authority that we do not know"),
    (1 << 4, "it is not for a server"),
    (1 << 9, "its signature is too weak"),
)
"pj_ssl_cert_verify_flag_t -> what is wrong. The first that fits is told: others follow from it."
NO_TLS = ("wrong version number", "packet length too long", "unknown protocol", "record layer failure", "http request")
"What OpenSSL says of a server that answers a TLS hello with something else."


@dataclass(frozen=True, slots=True)
class Loss:
    """A connection that is no more, or never was."""

    source: str
    "address:port of the other side."
    transport: str
    certificate: int
    "What is wrong with theirs; 0: nothing that we know."
    reason: str


def parse_losses(text: str) -> list[Loss]:
    """Lines of native/puente.i."""
    rows = (line.split("\t") for line in text.splitlines())
    return [Loss(source, transport, int(bits), reason) for source, transport, bits, reason in rows]


def complaint(loss: Loss, name: str) -> str:
    """Why there is no connection to whom we call `name`; empty when nobody has said."""
    if loss.certificate:
        fitting = (words for bits, words in WRONG_CERTIFICATE if loss.certificate & bits)
        return f"the certificate of {name} is refused: {next(fitting, 'it does not hold').format(name=name)}"
    if any(words in loss.reason.lower() for words in NO_TLS):
        return f"{name} does not speak TLS there"
    return loss.reason
