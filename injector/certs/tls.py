"""The server's TLS context for the next handshake. A pair that cannot be loaded never replaces a loaded one.

Open connections keep their context. No key is written to disk.
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
from injector.deadlines import CERT_RELOAD_SECONDS
from injector.errors import CertificateError

LOG = logging.getLogger("podrole.tls")

FileStats = tuple[tuple[int, int, int, int], ...]
"""For each file: device, inode, size, modification time."""


class Tls(Protocol):
    """What the server needs of either kind of certificate."""

    @property
    def certificate_not_after(self) -> float:
        """When the serving certificate expires, in seconds since the epoch; 0 before the first one."""

    @property
    def load_failures(self) -> int:
        """How often a pair could not be loaded."""

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake. Fast enough to call for each handshake."""


class ReloadableTls(Tls, Protocol):
    """A Tls that can tell what its context was built from."""

    @property
    def pems(self) -> tuple[bytes, bytes]:
        """The certificate with its chain, and the key; valid after `context`."""


class MemoryTls:
    """Serves the pair that was installed last. Thread-safe."""

    def __init__(self) -> None:
        self.certificate_not_after = 0.0
        self.load_failures = 0
        self.pems = b"", b""
        self._context: ssl.SSLContext | None = None

    def install(self, pair: KeyPair) -> None:
        """Serve this pair from the next handshake on; raise CertificateError, without effect, if that fails."""
        pems = pair.certificate.pem.encode(), pair.key_pem.encode()
        try:
            context = build_context(*pems)
        except CertificateError:
            self.load_failures += 1
            raise
        self.pems, self._context = pems, context
        self.certificate_not_after = pair.certificate.not_after

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake; raise CertificateError before the first pair."""
        if self._context is None:
            raise CertificateError("no certificate is loaded yet")
        return self._context


class FileTls:
    """Serves the pair in two files that another program renews; checks them at each handshake.

    It compares the results of two `stat` calls, which take microseconds and follow the symlinks of a mounted Secret,
    whose files are replaced and never changed.
    https://kubernetes.io/docs/concepts/storage/projected-volumes/
    """

    def __init__(self, certificate: Path, key: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Load the pair; raise CertificateError if that fails."""
        self.certificate_not_after = 0.0
        self.load_failures = 0
        self.pems = b"", b""
        self._files = (certificate, key)
        self._clock = clock
        self._lock = Lock()
        self._logged_error = ""
        self._retry_at = 0.0
        self._stats, self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake: the previous one, unless the files changed and can be loaded."""
        with self._lock:
            if self._clock() >= self._retry_at and self._stat_files() != self._stats:
                self._reload()
            return self._context

    def _reload(self) -> None:
        try:
            self._stats, self._context = self._load()
        except CertificateError as error:
            self.load_failures += 1
            self._retry_at = self._clock() + CERT_RELOAD_SECONDS
            if str(error) != self._logged_error:
                LOG.error("%s. The previous certificate stays in use", error)  # noqa: TRY400 - the message has the cause
            self._logged_error = str(error)
        else:
            self._logged_error = ""
            LOG.info("renewed certificate loaded from %s", self._files[0])

    def _load(self) -> tuple[FileStats | None, ssl.SSLContext]:
        files = " and ".join(map(str, self._files))
        try:
            stats, pems = self._read()
            context = build_context(*pems)
            self.certificate_not_after = parse_certificates(pems[0].decode("latin-1"))[0].not_after
            self.pems = pems
        except (OSError, CertificateError) as error:
            raise CertificateError(f"{files} cannot be loaded: {error}") from error
        return stats, context

    def _read(self) -> tuple[FileStats | None, tuple[bytes, bytes]]:
        """Read both files, again if one of them was replaced meanwhile."""
        while True:
            stats = self._stat_files()
            certificate, key = (file.read_bytes() for file in self._files)
            if stats == self._stat_files():
                return stats, (certificate, key)

    def _stat_files(self) -> FileStats | None:
        try:
            found = [file.stat() for file in self._files]
        except OSError:
            return None  # reading them raises the same error
        return tuple((stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in found)


def build_context(certificate_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    """A server's context with this certificate, its chain and its key; raise CertificateError if they do not match."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        _load_chain(context, certificate_pem + b"\n" + key_pem)
    except ssl.SSLError as error:
        raise CertificateError(_explain(error)) from error
    except OSError as error:
        raise CertificateError(f"they cannot be loaded into memory: {error}") from error
    return context


def _load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """Load through an anonymous file in memory, because Python's `ssl` loads key pairs only from files."""
    descriptor = os.memfd_create("podrole-tls", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_refuse_password)
    finally:
        os.close(descriptor)


def _refuse_password() -> NoReturn:
    """Without this, OpenSSL prompts on the terminal."""
    raise CertificateError("the key is encrypted: store it without a password")


def _explain(error: ssl.SSLError) -> str:
    match error.reason:
        case "KEY_VALUES_MISMATCH":
            return "the key belongs to another certificate"
        case None | "PEM lib" | "NO_START_LINE" | "BAD_END_LINE":
            return f"the certificate or the key is damaged or missing ({error})"
        case _:
            return str(error)
