"""TLS key updates, which Python's ssl module cannot ask for: calls the libssl that the interpreter has loaded.

https://docs.openssl.org/3.0/man3/SSL_key_update/
"""

import ctypes
import re
import ssl
from functools import lru_cache
from pathlib import Path

POINTER_OFFSET = 24
"""Of `SSL *` in CPython's PySSLSocket: after the object's head (16 bytes) and the reference to the socket."""

UPDATE_REQUESTED = 1
"""The server must update its key, too."""


@lru_cache
def load_libssl() -> ctypes.CDLL | None:
    """The shared library, or None if ssl is linked statically."""
    found = re.search(r"\S+/libssl\S*\.so\S*", Path("/proc/self/maps").read_text())
    return ctypes.CDLL(found[0]) if found else None


def update_keys(connection: ssl.SSLSocket) -> bool:
    """Ask for new keys with the next record that is sent; return False if that is not possible here."""
    libssl = load_libssl()
    if libssl is None or connection.version() != "TLSv1.3":
        return False
    pointer = ctypes.c_void_p.from_address(id(connection._sslobj) + POINTER_OFFSET)  # type: ignore[attr-defined] # noqa: SLF001 - no public way
    libssl.SSL_get_version.restype = ctypes.c_char_p
    assert libssl.SSL_get_version(pointer) == b"TLSv1.3"
    return bool(libssl.SSL_key_update(pointer, UPDATE_REQUESTED))
