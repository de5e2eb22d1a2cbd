from __future__ import annotations

import pytest

from sip.connections import Loss, complaint, parse_losses


def test_losses() -> None:
    text = "127.0.0.1:5061\ttls\t4\tSSL certificate verification error\n[2001:db8::1]:5060\ttcp\t0\t\n"
    assert parse_losses(text) == [
        Loss("127.0.0.1:5061", "tls", 4, "SSL certificate verification error"),
        Loss("[2001:db8::1]:5060", "tcp", 0, ""),
    ]
    assert parse_losses("") == []


@pytest.mark.parametrize(
    ("bits", "reason", "words"),
    [
        (1 << 2, "", "the certificate of p.example is refused: it has expired, or is not valid yet"),
        (1 << 30, "", "the certificate of p.example is refused: it is not for p.example"),
        (1 << 30 | 1 << 1, "", "the certificate of p.example is refused: it is not for p.example"),
        (1 << 1, "", "the certificate of p.example is refused: it is from an authority that we do not know"),
        (1 << 31, "", "the certificate of p.example is refused: it does not hold"),
        (0, "OpenSSL: wrong version number", "p.example does not speak TLS there"),
        (0, "Connection refused", "Connection refused"),
        (0, "", ""),
    ],
)
def test_complaints(bits: int, reason: str, words: str) -> None:
    assert complaint(Loss("127.0.0.1:5061", "tls", bits, reason), "p.example") == words
