"""The server as a process, over real sockets: a client must not affect others."""

import http.client
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from testing.ports import find_free_ports
from testing.repository import ROOT
from testing.services.certificates import CertificateFiles, write_certificates
from tests.unit.server.served import LARGE, MAX_CONNECTIONS, REQUEST_SECONDS

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class RunningServer:
    process: "subprocess.Popen[bytes]"
    port: int
    log: Path
    certificates: CertificateFiles

    @property
    def tls_port(self) -> int:
        """The port with TLS."""
        return self.port + 1

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def connect_tls(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.certificates.ca)
        opened = socket.create_connection(("127.0.0.1", self.tls_port), timeout=10)
        return context.wrap_socket(opened, server_hostname="127.0.0.1")


def start(directory: Path) -> RunningServer:
    certificates = write_certificates(directory, ["127.0.0.1"])
    port, log = find_free_ports(2), directory / "log"
    argv = [sys.executable, "-m", "tests.unit.server.served", str(port), str(certificates.certificate)]
    with log.open("wb") as output:
        process = subprocess.Popen([*argv, str(certificates.key)], cwd=ROOT, stderr=output)
    server = RunningServer(process, port, log, certificates)
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            server.connect_tls().close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return server
    process.kill()
    raise AssertionError(f"the server did not start; exit code {process.wait()}:\n{log.read_text()}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = start(tmp_path_factory.mktemp("served"))
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    running = start(tmp_path)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def ask(server: RunningServer) -> bytes:
    with server.connect() as connection:
        connection.sendall(LAST)
        return read_all(connection)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"\r\n\r\nx", 400, id="no-request-line"),
        pytest.param(b"GET / HTTP/2.0\r\n\r\n", 505, id="other-version"),
        pytest.param(b"GET /\r\n\r\n", 400, id="no-version"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="duplicate-host"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400, id="duplicate-length"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            id="length-and-chunked",
        ),
        pytest.param(
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400, id="malformed-chunk"
        ),
        pytest.param(
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: brew\r\n\r\n0\r\n\r\n", 501, id="unknown-transfer-coding"
        ),
        pytest.param(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417, id="unknown-expectation"),
        pytest.param(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n", 413, id="body-too-large"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000, 431, id="head-too-large"),
        pytest.param(b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n", 414, id="uri-too-long"),
        pytest.param(b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n", 500, id="app-exception"),
    ],
)
def test_invalid_request_gets_an_error_status_and_the_connection_closes(
    server: RunningServer, request_: bytes, status: int
) -> None:
    with server.connect() as connection:
        connection.sendall(request_)
        answer = read_all(connection)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in head
    assert body == b""


def test_exception_of_the_app_is_logged_but_not_sent(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = read_all(connection)

    assert b"error of the handler" not in answer
    assert "RuntimeError: error of the handler" in server.log.read_text()


def test_rejected_client_that_keeps_sending_receives_the_response(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_response_is_sent_in_one_segment(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        segment = connection.recv(65536)

    assert segment.startswith(b"HTTP/1.1 200 OK\r\n")
    assert segment.endswith(b"\r\n\r\nhello")


def test_first_tls_response_is_not_delayed(server: RunningServer) -> None:
    """A delayed acknowledgement takes 40 ms; the fastest of five connections counts."""
    durations = []
    for _ in range(5):
        with server.connect_tls() as connection:
            begin = time.monotonic()
            connection.sendall(GET)
            connection.recv(65536)
            durations.append(time.monotonic() - begin)

    assert min(durations) < 0.03


def test_pipelined_requests_are_answered_in_order(server: RunningServer) -> None:
    requests = [b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n%d" % number for number in range(9)]
    with server.connect() as connection:
        connection.sendall(b"".join(requests) + LAST)
        answer = read_all(connection)

    bodies = [part[:1] for part in answer.split(b"\r\n\r\n")[1:10]]
    assert bodies == [b"%d" % number for number in range(9)]
    assert answer.count(b"HTTP/1.1 200 OK") == 10


def test_half_closed_client_is_answered(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(GET + GET)
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)

    assert answer.count(b"HTTP/1.1 200 OK") == 2


def test_large_response_arrives_complete_without_blocking_others(server: RunningServer) -> None:
    with server.connect() as slow:
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        beside = ask(server)
        answer = read_all(slow)

    assert beside.startswith(b"HTTP/1.1 200 OK")
    assert len(answer.partition(b"\r\n\r\n")[2]) == LARGE


def test_oldest_connection_is_closed_at_the_limit(server: RunningServer) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(MAX_CONNECTIONS + 20)]

        answer = ask(server)
        oldest = idle[0].recv(1)

        idle[-1].sendall(LAST)
        youngest = read_all(idle[-1])

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert oldest == b""
    assert youngest.startswith(b"HTTP/1.1 200 OK")


def test_incomplete_request_times_out(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(GET[:-2])
        began = time.monotonic()
        received = connection.recv(1)
        waited = time.monotonic() - began

    assert received == b""
    assert REQUEST_SECONDS / 2 < waited < REQUEST_SECONDS + 4


def test_bytes_sent_one_by_one_do_not_extend_the_timeout(server: RunningServer) -> None:
    began = time.monotonic()
    with server.connect() as connection:
        connection.settimeout(0.2)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        try:
            while time.monotonic() - began < REQUEST_SECONDS + 4:
                connection.sendall(b"x")
                with pytest.raises(TimeoutError):
                    connection.recv(1)
        except (ConnectionError, pytest.fail.Exception):
            pass

    assert time.monotonic() - began < REQUEST_SECONDS + 3


def test_file_descriptors_are_freed_after_many_clients(server: RunningServer) -> None:
    before = psutil.Process(server.process.pid).num_fds()
    for _ in range(3):
        with ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(server.connect()).sendall(GET)
    ask(server)

    deadline = time.monotonic() + 10
    while psutil.Process(server.process.pid).num_fds() > before + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert psutil.Process(server.process.pid).num_fds() <= before + 2


def test_unfinished_tls_handshakes_do_not_block_other_clients(server: RunningServer) -> None:
    with ExitStack() as stack:
        for number in range(50):
            silent = stack.enter_context(closing(socket.create_connection(("127.0.0.1", server.tls_port), timeout=10)))
            if number % 2:
                silent.sendall(b"\x16\x03\x01")  # the beginning of a handshake
        began = time.monotonic()
        with server.connect_tls() as connection:
            connection.sendall(LAST)
            answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert time.monotonic() - began < 3


def test_plain_http_on_the_tls_port_is_closed(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.tls_port), timeout=10) as connection:
        connection.sendall(GET)
        with suppress(ConnectionResetError):
            assert b"HTTP" not in read_all(connection)


def test_blocking_requests_run_in_parallel(server: RunningServer) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect_tls()) for _ in range(2)]
        began = time.monotonic()
        for _ in range(2):
            for connection in connections:
                connection.sendall(b"GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
            for connection in connections:
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")

    assert 1 <= time.monotonic() - began < 1.9


def test_body_in_many_tls_records_arrives_complete(server: RunningServer) -> None:
    body = b"x" * 1000
    with server.connect_tls() as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n")
        for position in range(0, 1000, 10):
            connection.sendall(body[position : position + 10])
        answer = read_all(connection)

    assert answer.endswith(body)


def test_sigterm_ends_the_server_despite_open_connections(own_server: RunningServer) -> None:
    with own_server.connect() as idle, own_server.connect() as used:
        used.sendall(GET)
        used.recv(65536)
        began = time.monotonic()
        own_server.process.send_signal(signal.SIGTERM)
        code = own_server.process.wait(10)
        waited = time.monotonic() - began
        assert idle.recv(1) == b""

    assert code == 0
    assert waited < 4


def test_after_sigterm_requests_in_progress_and_on_kept_connections_are_answered(own_server: RunningServer) -> None:
    with own_server.connect_tls() as busy, own_server.connect() as kept:
        kept.sendall(GET)
        kept.recv(65536)
        busy.sendall(b"GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)  # until the request has arrived

        own_server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)  # so that the next request arrives after the signal
        kept.sendall(GET)

        assert b"Connection: close" in kept.recv(65536)
        assert busy.recv(65536).startswith(b"HTTP/1.1 200 OK")
        assert own_server.process.wait(10) == 0


def test_http_1_0_client_is_answered_and_closed(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.0 200 OK")


def test_connection_is_kept_alive_for_a_client_library(server: RunningServer) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        sockets = set()
        for _ in range(5):
            connection.request("PUT", "/", b"hello")
            assert connection.getresponse().read() == b"hello"
            sockets.add(connection.sock)

    assert len(sockets) == 1


def test_blocking_request_does_not_block_other_clients(server: RunningServer) -> None:
    with server.connect() as waiting:
        waiting.sendall(b"GET /block HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        began = time.monotonic()
        answer = ask(server)
        waited = time.monotonic() - began
        late = read_all(waiting)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert waited < 0.4
    assert late.startswith(b"HTTP/1.1 200 OK")
