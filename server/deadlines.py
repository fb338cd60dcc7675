"""Every wait of the HTTP server, and of connections that both processes make, in seconds.

Each says who waits for what, and what follows. docs/deadlines.md has them as a table.
"""

REQUEST_SECONDS = 5.0
"""The server, for the first byte of a request, and then for its last byte: it closes the connection.

The TLS handshake is part of the wait for the first byte.
"""

SEND_SECONDS = 5.0
"""The server, for a client that reads a response: it closes the connection."""

LINGERING_CLOSE_SECONDS = 1.0
"""The server, for a client to close after an error response: it closes the connection.

Meanwhile it reads on, so that the client sees the response instead of a reset.
"""

KEEPALIVE_SECONDS = 2.0
"""The server, for the next request of a connection: it closes the connection."""

EXHAUSTED_SECONDS = 0.25
"""A client, without descriptors for others, for the rest of its handshake or request: it is closed for another."""

POLL_SECONDS = 1.0
"""The event loop, for events: it closes the connections whose time is over, and waits again."""

SHUTDOWN_POLL_SECONDS = 0.05
"""The event loop, for events after SIGTERM: it closes the connections whose time is over, and waits again."""

GRACEFUL_SECONDS = 5.0
"""The server, for unfinished requests after SIGTERM: it closes their connections and ends."""

QUEUE_SECONDS = 5.0
"""A request, for a thread that handles it: the client gets 429."""

LINGER_SECONDS = 0.0
"""The server, for idle connections after SIGTERM: it closes them."""

LOG_SECONDS = 1.0
"""A process that ends, for a reader of its last log lines: it drops them."""

RESTART_SECONDS = 5.0
"""A background thread, after an error that nothing expected: it runs its work again."""

CONNECT_STAGGER_SECONDS = 0.25
"""A connection of a client, for an address of a name to answer: the next address is tried as well.

Shorter if there are many: half of the time for the connection is left once all are tried.
https://www.rfc-editor.org/rfc/rfc8305#section-8
"""
