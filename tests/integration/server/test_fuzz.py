"""Many clients of one server pipeline, split, stall, upgrade, update keys, reset and leave, in any order.

At all times the process lives and answers new clients, and each client gets its own responses, in order. When all
clients have left, file descriptors and memory are where they were. It runs for PODROLE_TEST_FUZZ_SECONDS. A failure
prints a seed; PODROLE_TEST_FUZZ_SEED repeats it and looks for a shorter example.
"""

import os
import random
import socket
import ssl
import struct
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.integration.server.fuzz_client import Client, Expected
from tests.integration.server.fuzz_requests import FAILING_SHAPES, GARBAGE, INVALID, SHAPES, Shape
from tests.integration.server.key_update import update_keys
from tests.unit.server.hostile_server import MAX_BODY_BYTES, REQUEST_SECONDS
from tests.unit.server.running import Port, Running, running

FUZZ_SECONDS = float(os.environ.get("PODROLE_TEST_FUZZ_SECONDS", "60"))
MAX_CLIENTS = 50
"""Fewer than the server's limit, so that it closes none of them for a new one."""

SEED = os.environ.get("PODROLE_TEST_FUZZ_SEED", "")
FINISH_SECONDS = 15
MEMORY_GROWTH_BYTES = 8 * 1024 * 1024
"""What Python's allocator keeps, however long the test runs."""

BATCH = settings(
    max_examples=3,
    stateful_step_count=60,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.generate, Phase.shrink] if SEED else [Phase.generate],  # shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)
IDS = count()
INDEXES = st.integers(0, MAX_CLIENTS - 1)
LIMITS = st.sampled_from([1, 7, 300, 5000, 65536, 10**7])


FIRST_FAILURES: list[str] = []
"""Hypothesis repeats a failed example, and may only report that the repetition had another result."""


def noted(step: Callable[..., None]) -> Callable[..., None]:
    """Note how a step failed."""

    @wraps(step)
    def run(*arguments: Any, **values: Any) -> None:
        try:
            step(*arguments, **values)
        except (AssertionError, OSError, EOFError):
            FIRST_FAILURES.append(traceback.format_exc())
            raise

    return run


class ServerMachine(RuleBasedStateMachine):
    """Steps of clients. Each example begins and ends without clients."""

    server: Running
    files = memory = 0

    def __init__(self) -> None:
        super().__init__()
        self.clients: list[Client] = []

    def pick(self, index: int) -> Client:
        """One of the clients."""
        assume(self.clients)
        return self.clients[index % len(self.clients)]

    @precondition(lambda self: len(self.clients) < MAX_CLIENTS)
    @rule(port=st.sampled_from(Port), number=st.integers(1, 5))
    @noted
    def connect(self, port: Port, number: int) -> None:
        for _ in range(number):
            connection = self.server.connect(port)
            connection.settimeout(0)
            self.clients.append(Client(connection, port == Port.TLS))

    @rule(index=INDEXES, shapes=st.lists(SHAPES, min_size=1, max_size=5), limit=LIMITS)
    @noted
    def request(self, index: int, shapes: list[Shape], limit: int) -> None:
        client = self.pick(index)
        for shape in shapes:
            if client.can_request:
                client.request(*shape.build(f"{next(IDS)}-"))
        client.push(limit)

    @rule(shape=SHAPES)
    @noted
    def request_of_all(self, shape: Shape) -> None:
        for index in range(len(self.clients)):
            self.request(index, [shape], 65536)

    @rule(index=INDEXES, shape=FAILING_SHAPES, limit=LIMITS)
    @noted
    def fail(self, index: int, shape: Shape, limit: int) -> None:
        client = self.pick(index)
        if client.can_request:
            client.request(*shape.build(f"{next(IDS)}-"))
        client.push(limit)

    @rule(index=INDEXES, garbage=st.sampled_from(GARBAGE), limit=LIMITS)
    @noted
    def send_garbage(self, index: int, garbage: bytes, limit: int) -> None:
        client = self.pick(index)
        if client.can_request:
            client.request(garbage, Expected("", INVALID | {505}, b""))
        client.push(limit)

    @rule(index=INDEXES)
    @noted
    def send_unfinished_body(self, index: int) -> None:
        client = self.pick(index)
        if client.can_request:
            client.may_be_closed = True
            client.outgoing += b"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % MAX_BODY_BYTES
            client.outgoing += b"x" * (MAX_BODY_BYTES - 1)
        client.push(10**7)

    @rule(index=INDEXES, limit=LIMITS)
    @noted
    def push(self, index: int, limit: int) -> None:
        self.pick(index).push(limit)

    @rule(index=INDEXES, limit=LIMITS)
    @noted
    def pull(self, index: int, limit: int) -> None:
        self.pick(index).pull(limit)

    @rule(index=INDEXES)
    @noted
    def update_keys(self, index: int) -> None:
        client = self.pick(index)
        if isinstance(client.socket, ssl.SSLSocket) and not client.retry_limit:
            update_keys(client.socket)

    @rule(index=INDEXES)
    @noted
    def half_close(self, index: int) -> None:
        self.pick(index).half_close()

    @rule(index=INDEXES, is_reset=st.booleans())
    @noted
    def leave(self, index: int, is_reset: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        client = self.pick(index)
        if is_reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
        self.clients.remove(client)

    @rule(index=INDEXES)
    @noted
    def finish(self, index: int) -> None:
        self.pick(index).finish(FINISH_SECONDS)

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.1] * 5 + [REQUEST_SECONDS + 0.5]))
    @noted
    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    @invariant()
    @noted
    def new_clients_are_answered(self) -> None:
        self.server.check_new_clients()

    @noted
    def teardown(self) -> None:
        try:
            for client in self.clients:
                client.finish(FINISH_SECONDS)
        finally:
            for client in self.clients:
                with suppress(OSError):
                    client.socket.close()
        self.server.wait_for_files(self.files)
        growth = self.server.read_memory() - self.memory
        assert growth < MEMORY_GROWTH_BYTES
        assert "reason=connection-failed" not in self.server.log


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as started:
        started.check_new_clients()
        yield started


def test_clients_that_do_anything_get_their_own_responses_and_leave_nothing(server: Running) -> None:
    ServerMachine.server, ServerMachine.files, ServerMachine.memory = server, server.count_files(), server.read_memory()
    first_seed = int(SEED or random.randrange(10**9))
    deadline = time.monotonic() + FUZZ_SECONDS

    for number in count(first_seed):
        machine: Any = seed(number)(type("Seeded", (ServerMachine,), {}))
        try:
            run_state_machine_as_test(machine, settings=BATCH)
        except BaseException as error:
            error.add_note("\n".join([f"PODROLE_TEST_FUZZ_SEED={number}", *FIRST_FAILURES[:1], server.log[-4000:]]))
            raise
        if time.monotonic() > deadline or SEED:
            print(f"{number - first_seed + 1} batches, the first with seed {first_seed}")  # noqa: T201 - with `pytest -s`
            break
