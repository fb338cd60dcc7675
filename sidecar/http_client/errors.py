"""Why there is no response.

The codes are the names of botocore's exceptions, which signed calls raise and hints use; InvalidResponse is our own.
"""

from typing import NamedTuple

MESSAGES = {
    "ConnectTimeoutError": 'Connect timeout on endpoint URL: "{url}"',
    "EndpointConnectionError": 'Could not connect to the endpoint URL: "{url}"',
    "SSLError": "SSL validation failed for {url}",
    "ReadTimeoutError": 'Read timeout on endpoint URL: "{url}"',
    "ConnectionClosedError": 'Connection was closed before a valid response arrived from endpoint URL: "{url}"',
    "InvalidResponse": 'No valid response from endpoint URL: "{url}"',
    "ProxyConnectionError": "Failed to connect to proxy URL: {proxy}",
}
"""Code -> the start of the message. The reason follows; it quotes nothing that was sent or received."""


class RequestError(Exception):
    """There is no complete response."""

    def __init__(self, code: str, message: str, reason: str) -> None:
        super().__init__(f"{message}: {reason}")
        self.code = code
        self.reason = reason


class TlsError(OSError):
    """TLS failed: the certificate, the version, or the peer does not use TLS."""


class TooLargeError(OSError):
    """The peer sent more than allowed."""


class Stage(NamedTuple):
    """A part of a request's way, and the codes of its errors."""

    timeout: str
    error: str
    tls_error: str

    def find_code(self, error: OSError) -> str:
        """Return the code of an error in this part."""
        if isinstance(error, TooLargeError):
            return "InvalidResponse"
        if isinstance(error, TlsError):
            return self.tls_error
        return self.timeout if isinstance(error, TimeoutError) else self.error


CONNECT = Stage("ConnectTimeoutError", "EndpointConnectionError", "SSLError")
EXCHANGE = Stage("ReadTimeoutError", "ConnectionClosedError", "SSLError")
"""From the first byte of TLS to the last byte of the response."""

PROXY = Stage("ProxyConnectionError", "ProxyConnectionError", "ProxyConnectionError")
"""To the proxy, and through it until the tunnel is open."""


def explain(error: OSError) -> str:
    """The reason in the words of the operating system or OpenSSL."""
    return error.strerror or str(error) or type(error).__name__
