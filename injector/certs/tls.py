"""The TLS side of the server: the context that the next handshake uses. A pair that cannot be used never replaces one.

Open connections keep the context that they began with. Nothing is written to a disk.
"""

import logging
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import NoReturn, Protocol

from injector.certs.x509 import KeyPair, parse_certificates
from injector.errors import CertificateError

LOG = logging.getLogger("podrole.tls")

RETRY_SECONDS = 1
"""A pair that failed is tried again after so long: a file may have been half-written, memory or descriptors short."""

Identity = tuple[tuple[int, int, int, int], ...]


class Tls(Protocol):
    """What the server needs, whoever takes care of the certificates."""

    certificate_not_after: float
    """The end of the served certificate, in seconds since the epoch; 0 before there is one."""

    failures: int
    """How often a pair could not be used."""

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake; cheap enough to be asked for each."""


class MemoryTls:
    """Serves the pair that it was given last. Threads may install and serve at once."""

    def __init__(self) -> None:
        self.certificate_not_after = 0.0
        self.failures = 0
        self._context: ssl.SSLContext | None = None

    def install(self, pair: KeyPair) -> None:
        """Serve this pair from the next handshake on; raise CertificateError, and change nothing, if that fails."""
        try:
            context = build_context(pair.certificate.pem.encode(), pair.key_pem.encode())
        except CertificateError:
            self.failures += 1
            raise
        self._context = context
        self.certificate_not_after = pair.certificate.not_after

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake; CertificateError before the first pair is there."""
        if self._context is None:
            raise CertificateError("there is no certificate yet")
        return self._context


class FileTls:
    """Serves the pair in two files that somebody else renews; they are looked at for each handshake.

    By identity and not by content: two `stat` calls take microseconds, and they follow the symlinks of a mounted
    Secret, whose files never change but are replaced.
    https://kubernetes.io/docs/concepts/storage/projected-volumes/
    """

    def __init__(self, certificate: Path, key: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raise CertificateError if the pair cannot be used: there is nothing else to serve."""
        self.certificate_not_after = 0.0
        self.failures = 0
        self._files = (certificate, key)
        self._clock = clock
        self._lock = Lock()
        self._complaint = ""
        self._retry_at = 0.0
        self._identity, self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake: the one before, unless the files are others and fit together."""
        with self._lock:
            if self._clock() >= self._retry_at and self._identify() != self._identity:
                self._reload()
            return self._context

    def _reload(self) -> None:
        try:
            self._identity, self._context = self._load()
        except CertificateError as error:
            self.failures += 1
            self._retry_at = self._clock() + RETRY_SECONDS
            if str(error) != self._complaint:
                LOG.error("%s. The certificate from before is still served", error)  # noqa: TRY400 - the sentence says it
            self._complaint = str(error)
        else:
            self._complaint = ""
            LOG.info("a renewed certificate in %s is served from now on", self._files[0])

    def _load(self) -> tuple[Identity | None, ssl.SSLContext]:
        files = " and ".join(map(str, self._files))
        try:
            identity, pems = self._read()
            context = build_context(*pems)
            self.certificate_not_after = parse_certificates(pems[0].decode("latin-1"))[0].not_after
        except (OSError, CertificateError) as error:
            raise CertificateError(f"{files} cannot be used: {error}") from error
        return identity, context

    def _read(self) -> tuple[Identity | None, tuple[bytes, bytes]]:
        """Both files as they were at one moment: they may be replaced between one and the other."""
        while True:
            identity = self._identify()
            certificate, key = (file.read_bytes() for file in self._files)
            if identity == self._identify():
                return identity, (certificate, key)

    def _identify(self) -> Identity | None:
        try:
            found = [file.stat() for file in self._files]
        except OSError:
            return None  # reading them says what is wrong
        return tuple((stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in found)


def build_context(certificate_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    """A server's context with this certificate, its chain and its key; raise CertificateError if they do not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        _load_chain(context, certificate_pem + b"\n" + key_pem)
    except ssl.SSLError as error:
        raise CertificateError(_explain(error)) from error
    except OSError as error:
        raise CertificateError(f"no room to load them: {error}") from error
    return context


def _load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """OpenSSL's binding in Python reads only files: this one is in memory, has no name, and ends with this call."""
    descriptor = os.memfd_create("podrole-tls", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_refuse_password)
    finally:
        os.close(descriptor)


def _refuse_password() -> NoReturn:
    """Without this OpenSSL asks the terminal."""
    raise CertificateError("the key is encrypted: it must be stored without a password")


def _explain(error: ssl.SSLError) -> str:
    match error.reason:
        case "KEY_VALUES_MISMATCH":
            return "the key belongs to another certificate"
        case None | "PEM lib" | "NO_START_LINE" | "BAD_END_LINE":
            return f"certificate or key is damaged or missing in them ({error})"
        case _:
            return str(error)
