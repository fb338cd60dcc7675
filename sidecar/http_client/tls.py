"""TLS on top of a stream: on a TCP connection, or inside the TLS of a proxy. Imported only for https."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from sidecar.http_client.errors import TlsError
from sidecar.http_client.stream import PIECE_BYTES, Stream

T = TypeVar("T")


def create_context(ca_pem: str | None) -> ssl.SSLContext:
    """Trust only these CAs, else those in OpenSSL's default places; raise TlsError for invalid certificates.

    In the image the default place is a hashed directory, of which OpenSSL reads one file for a connection. Parsing a
    bundle in one file takes longer than the rest of a call of STS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    if ca_pem is None:
        context.set_default_verify_paths()
        return context
    try:
        context.load_verify_locations(cadata=ca_pem)
    except (ssl.SSLError, ValueError, TypeError) as error:
        raise TlsError("the configured CAs are not valid certificates in PEM format") from error
    return context


class TlsStream:
    """A TLS connection whose handshake is done."""

    def __init__(self, inner: Stream, context: ssl.SSLContext, host: str) -> None:
        self._inner = inner
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        # As bytes: for text Python would import its IDNA codec. A dot at the end, which keeps the resolver from trying
        # its search domains, is not part of the name in SNI: https://www.rfc-editor.org/rfc/rfc6066#section-3
        name = host.rstrip(".").encode("ascii")
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._run(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        """Send everything."""
        view = memoryview(data)
        while view:
            view = view[self._run(partial(self._tls.write, view)) :]

    def receive(self) -> bytes:
        """Return the next bytes; empty if the peer ended TLS. Raise ConnectionError if it ended only the connection."""
        try:
            return self._run(partial(self._tls.read, PIECE_BYTES))
        except TlsError as error:
            if isinstance(error.__cause__, ssl.SSLEOFError):
                raise ConnectionError("the connection was closed without an end of TLS") from error
            raise

    def _run(self, operation: Callable[[], T]) -> T:
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except ssl.SSLError as error:
                with suppress(OSError):  # the alert that tells the peer why
                    self._flush()
                raise TlsError(str(error)) from error
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._inner.send(self._outgoing.read())

    def _fill(self) -> None:
        data = self._inner.receive()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
