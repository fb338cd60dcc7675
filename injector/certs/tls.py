"""The server's TLS context for the next handshake. A pair that cannot be loaded never replaces a loaded one.

Open connections keep their context. No key is written to disk.
"""

import os
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

from injector.certs.loading import parse_certificates, parse_key_pair
from injector.certs.watched_files import Messages, WatchedFiles
from injector.certs.x509 import KeyPair
from injector.errors import CertificateError, ResourceError


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


class LoadedPair(NamedTuple):
    """A pair from files."""

    pems: tuple[bytes, bytes]
    context: ssl.SSLContext
    not_after: float


class FileTls:
    """Serves the pair in two files that another program renews; checks them at each handshake."""

    def __init__(self, certificate: Path, key: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Load the pair; raise CertificateError if that fails."""
        messages = Messages(kept="The previous certificate stays in use", loaded="renewed certificate")
        self._pair = WatchedFiles((certificate, key), _load_pair, messages, clock)

    @property
    def certificate_not_after(self) -> float:
        """When the serving certificate expires, in seconds since the epoch."""
        return self._pair.loaded.not_after

    @property
    def load_failures(self) -> int:
        """How often the files could not be loaded."""
        return self._pair.load_failures

    @property
    def pems(self) -> tuple[bytes, bytes]:
        """The certificate with its chain, and the key; valid after `context`."""
        return self._pair.loaded.pems

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake: the previous one, unless the files changed and can be loaded."""
        return self._pair.read().context


def _load_pair(contents: list[bytes]) -> LoadedPair:
    certificate, key = contents
    context = build_context(certificate, key)
    return LoadedPair((certificate, key), context, parse_certificates(certificate.decode("latin-1"))[0].not_after)


def parse_serving_pair(certificate_pem: str, key_pem: str) -> KeyPair:
    """A pair that handshakes can use; raise CertificateError where one of both libraries cannot load it."""
    pair = parse_key_pair(certificate_pem, key_pem)
    with suppress(ResourceError):  # that says nothing about the pair
        check_context(pair.certificate.pem, pair.key_pem)
    return pair


@lru_cache(maxsize=8)  # the same pair is read every few seconds
def check_context(certificate_pem: str, key_pem: str) -> None:
    """Raise CertificateError where OpenSSL cannot serve a pair."""
    build_context(certificate_pem.encode(), key_pem.encode())


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
        raise ResourceError(f"they cannot be loaded into memory: {error}") from error
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
