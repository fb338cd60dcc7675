"""The open connections of all listeners: what they wait for, how much memory they take, which one is closed first."""

import math
import selectors
from collections.abc import Sequence
from contextlib import suppress

from server.connection import Connection
from server.listener import Listener
from server.log_limit import LimitedLog


class Connections:
    """Registers connections with the selector and closes them. It is used by the loop's thread only."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        selector: selectors.BaseSelector,
        max_buffered_bytes: int,
        log: LimitedLog,
    ) -> None:
        self._listeners = listeners
        self._selector = selector
        self._max_buffered_bytes = max_buffered_bytes
        self._log = log
        self._buffered_bytes = 0

    @property
    def has_any(self) -> bool:
        """Whether a connection is open."""
        return any(listener.connections for listener in self._listeners)

    def watch(self, connection: Connection) -> None:
        """Wait for the events that the connection needs next."""
        wanted = 0 if connection.is_dropped else connection.wanted_events
        if wanted == connection.interest:
            return
        if not connection.interest:
            self._selector.register(connection.socket, wanted, connection)
        elif wanted:
            self._selector.modify(connection.socket, wanted, connection)
        else:
            self._selector.unregister(connection.socket)
        connection.interest = wanted

    def count(self, connection: Connection) -> None:
        """Keep the sum of buffered bytes below its limit. The connection itself may be closed for it."""
        self._buffered_bytes += connection.buffered_bytes - connection.counted_bytes
        connection.counted_bytes = connection.buffered_bytes
        while self._buffered_bytes > self._max_buffered_bytes:
            largest = max(
                (one for listener in self._listeners for one in listener.connections if not one.is_busy),
                key=lambda one: one.counted_bytes,
                default=None,
            )
            if largest is None or not largest.counted_bytes:
                return
            self._log("buffers-full", f"closed a connection that had sent {largest.counted_bytes} bytes")
            self.drop(largest)

    def drop(self, connection: Connection) -> None:
        """Close a connection."""
        if connection.is_dropped:
            return
        connection.is_dropped = True
        del connection.listener.connections[connection]
        self._buffered_bytes -= connection.counted_bytes
        if connection.interest:
            self._selector.unregister(connection.socket)
            connection.interest = 0
        with suppress(OSError):
            connection.close()

    def drop_oldest(self, listener: Listener, begun_before: float = math.inf) -> bool:
        """Close the connection that `find_oldest` finds; return whether there is one."""
        oldest = listener.find_oldest(begun_before)
        if oldest:
            self.drop(oldest)
        return oldest is not None

    def drop_overdue(self, now: float) -> None:
        """Close the connections whose deadline has passed."""
        for connection in self._list():
            if now >= connection.deadline and not connection.spare():
                self.drop(connection)

    def drop_idle(self) -> None:
        """Close the connections that are between two requests or before the first."""
        for connection in self._list():
            if connection.is_idle and not connection.spare():
                self.drop(connection)

    def _list(self) -> list[Connection]:
        return [connection for listener in self._listeners for connection in listener.connections]
