"""A TLS handshake without a network."""

import ssl
from contextlib import suppress


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> str | None:
    """Connect a client and a server in memory; return the negotiated TLS version."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client.wrap_bio(to_client, to_server, server_hostname=name)
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (client_side, server_side, client_side, server_side):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client_side.version()
