"""Errors of accept: which ones pause a listener, and how they are named."""

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from server.descriptors import describe_exhaustion
from server.listener import Listener, Service
from server.messages import Response

REASONS = {
    "EMFILE": "no-file-descriptors",
    "ENFILE": "no-file-descriptors-on-node",
    "ENOBUFS": "no-memory",
    "ENOMEM": "no-memory",
}


class FailingSocket(socket.socket):
    """A socket whose `accept` fails."""

    error = 0

    def accept(self) -> tuple[socket.socket, object]:
        raise OSError(self.error, os.strerror(self.error))


@pytest.fixture
def listening() -> Iterator[FailingSocket]:
    with FailingSocket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield one


@pytest.mark.parametrize("name", REASONS)
def test_error_without_descriptors_or_memory_is_raised_and_has_a_reason(listening: FailingSocket, name: str) -> None:
    listener = Listener(listening, Service(lambda _request: Response(204), 0))
    listening.error = getattr(errno, name)

    with pytest.raises(OSError, match=os.strerror(listening.error)) as raised:
        listener.accept()

    assert describe_exhaustion(raised.value) == REASONS[name]


@pytest.mark.parametrize("name", ["EAGAIN", "ECONNABORTED", "EPERM", "EPROTO"])
def test_error_of_one_client_is_no_exhaustion(listening: FailingSocket, name: str) -> None:
    listener = Listener(listening, Service(lambda _request: Response(204), 0))
    listening.error = getattr(errno, name)

    assert listener.accept() is None
