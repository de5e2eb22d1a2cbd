"""A certificate authority for one test: `openssl` makes what a TLS partner shows, good and bad.

ca = LabCA(tmp_path)
ca.file                                         whom to believe
ca.certificate("edge.example")                  a pair of files, good for that name
ca.certificate("edge.example", expired=True)    the same, of yesterday
"""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    certificate: Path
    key: Path


class LabCA:
    def __init__(self, folder: Path, name: str = "lab") -> None:
        self._folder = folder
        self.file, self._key = folder / f"{name}-ca.pem", folder / f"{name}-ca.key"
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *("-keyout", str(self._key), "-out", str(self.file), "-subj", f"/CN={name} CA"),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
        )

    def certificate(self, name: str, *, address: str = "", expired: bool = False) -> Pair:
        """For a DNS name, or (too) for an `address`."""
        stem = f"{self.file.stem}-{name}{'-expired' if expired else ''}"
        pair = Pair(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        request, extensions = self._folder / f"{stem}.csr", self._folder / f"{stem}.ext"
        names = f"subjectAltName=DNS:{name}" + (f",IP:{address}" if address else "")
        extensions.write_text(f"{names}\nbasicConstraints=CA:FALSE\n")
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", str(pair.key), "-out", str(request)),
        )
        self._openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.file), "-CAkey", str(self._key), "-CAcreateserial"),
            *("-days", "-1" if expired else "2", "-extfile", str(extensions), "-out", str(pair.certificate)),
        )
        return pair

    def server(self, pair: Pair, *, asks_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        if asks_client:
            context.load_verify_locations(self.file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, pair: Pair | None = None) -> ssl.SSLContext:
        """Believes this authority; looks at no names: tests call addresses."""
        context = ssl.create_default_context(cafile=str(self.file))
        context.check_hostname = False
        if pair:
            context.load_cert_chain(*pair)
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
