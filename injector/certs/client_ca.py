"""Requires a certificate of the webhook's clients: that of the API servers.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#authenticate-apiservers
"""

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from injector.certs.tls import ReloadableTls, build_context
from injector.certs.watched_files import Messages, WatchedFiles
from injector.errors import CertificateError

COMMON_NAME = "commonName"


class ClientCa(WatchedFiles[str]):
    """The CAs in a file, in PEM format."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Load the file; raise CertificateError if that fails."""
        super().__init__((file,), _load_cas, Messages("The previous CAs stay in use", "CAs of clients"), clock)


def _load_cas(contents: list[bytes]) -> str:
    pem = contents[0].decode("ascii")
    require_client_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pem)
    return pem


class VerifyingTls:
    """Serves the certificate of another Tls, to clients whose certificate a CA of the file signed."""

    def __init__(self, tls: ReloadableTls, ca: ClientCa, common_name: str | None = None) -> None:
        """`common_name`: the only subject that is accepted; None: all."""
        self._tls = tls
        self._ca = ca
        self._common_name = common_name
        self._lock = Lock()
        self._source: tuple[ssl.SSLContext, str] | None = None
        self._context: ssl.SSLContext | None = None

    @property
    def certificate_not_after(self) -> float:
        """When the serving certificate expires, in seconds since the epoch; 0 before the first one."""
        return self._tls.certificate_not_after

    @property
    def load_failures(self) -> int:
        """How often a serving certificate or the file of CAs could not be loaded."""
        return self._tls.load_failures + self._ca.load_failures

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake; raise CertificateError before the first serving certificate."""
        with self._lock:
            source = self._tls.context(), self._ca.read()
            if self._context and self._source and not any(map(_is_other, source, self._source)):
                return self._context
            return self._replace(source)

    def _replace(self, source: tuple[ssl.SSLContext, str]) -> ssl.SSLContext:
        try:
            context = self._build(source[1])
        except CertificateError:  # memory or descriptors are scarce
            if self._context is None:
                raise
            return self._context
        self._context, self._source = context, source
        return context

    def _build(self, pem: str) -> ssl.SSLContext:
        context = build_context(*self._tls.pems)
        require_client_certificate(context, pem)
        if self._common_name is not None:
            context.sslsocket_class = build_socket_class(self._common_name)
        return context


def _is_other(one: object, other: object) -> bool:
    return one is not other


def require_client_certificate(context: ssl.SSLContext, pem: str) -> None:
    """Verify the certificates of clients against these CAs; raise CertificateError if one cannot be loaded."""
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cadata=pem)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise CertificateError(f"the CAs cannot be loaded: {error}") from error


def build_socket_class(common_name: str) -> type[ssl.SSLSocket]:
    """A socket whose handshake fails if the client's certificate has another subject.

    https://docs.python.org/3/library/ssl.html#ssl.SSLContext.sslsocket_class
    """

    class NamedClientSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as the base class has it
            super().do_handshake(block)
            if common_name not in read_common_names(self.getpeercert()):
                raise ssl.SSLError("the client's certificate has another common name")

    return NamedClientSocket


def read_common_names(certificate: Any) -> list[str]:
    """The common names of a subject, as `getpeercert` returns the certificate."""
    subject = (certificate or {}).get("subject", ())
    return [value for name in subject for field, value in name if field == COMMON_NAME]
