"""TLS clients that do not follow the protocol, or use rare parts of it."""

import shutil
import socket
import ssl
import subprocess
import time
from contextlib import ExitStack, suppress
from subprocess import DEVNULL, PIPE

import pytest

from testing.raw_http import Wire
from tests.unit.server.hostile_server import REQUEST_SECONDS
from tests.unit.server.running import Port, Running, build

HELLO_RECORD = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
GARBAGE = {
    "http": build("/echo", "a"),
    "empty-lines": b"\r\n" * 100,
    "half-of-a-hello": HELLO_RECORD,
    "hello-and-garbage": HELLO_RECORD + b"\xff" * 600,
    "record-of-64-kib": b"\x16\x03\x03\xff\xff" + b"x" * 65535,
    "alert": b"\x15\x03\x03\x00\x02\x02\x00",
    "application-data": b"\x17\x03\x03\x00\x10" + b"x" * 16,
    "empty-records": b"\x16\x03\x03\x00\x00" * 1000,
    "ssl-2-hello": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"x" * 35,
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_handshake_is_closed_without_a_response(hostile: Running, name: str) -> None:
    files = hostile.count_files()
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", hostile.port + 1), timeout=10))
            for _ in range(20)
        ]
        for client in clients:
            with suppress(ConnectionError):
                client.sendall(GARBAGE[name])
        hostile.check_new_clients()
        received = [Wire(client).read_rest() for client in clients]
        hostile.wait_for_files(files)

    assert not [data for data in received if b"HTTP/1" in data]
    assert "Traceback" not in hostile.log


def test_stalled_handshakes_end_in_time(hostile: Running) -> None:
    files = hostile.count_files()
    began = time.monotonic()
    with ExitStack() as stack:
        for number in range(150):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", hostile.port + 1), timeout=10))
            client.sendall(HELLO_RECORD[: number % len(HELLO_RECORD)])
        hostile.check_new_clients()
        hostile.wait_for_files(files)

    assert time.monotonic() - began < REQUEST_SECONDS + 4


def test_records_of_one_byte_are_one_request(hostile: Running) -> None:
    with hostile.connect(Port.TLS) as connection:
        for byte in build("/echo", "a", b"hello"):
            connection.sendall(bytes([byte]))
        answer = Wire(connection).read_answer()

    assert (answer.find("X-Id"), answer.body) == ("a", b"hello")


def test_requests_in_one_record_are_answered_in_order(hostile: Running) -> None:
    """The selector sees nothing of what TLS has already decrypted."""
    actions = ["/echo", "/echo", "/wait/0.1", "/wait/0.1", "/echo"]
    with hostile.connect(Port.TLS) as connection:
        connection.sendall(b"".join(build(action, str(number)) for number, action in enumerate(actions)))
        wire = Wire(connection)
        answers = [wire.read_answer().find("X-Id") for _ in actions]

    assert answers == ["0", "1", "2", "3", "4"]


def test_record_behind_requests_that_need_threads_does_not_end_the_process(hostile: Running) -> None:
    """Two records that arrive together: the second is still unread when the first is handled."""
    actions = ["/echo", "/echo", "/wait/0.1", "/wait/0.1"]
    with hostile.connect(Port.TLS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.sendall(b"".join(build(action, str(number)) for number, action in enumerate(actions)))
        connection.sendall(b"P")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        wire = Wire(connection)
        answers = [wire.read_answer().find("X-Id") for _ in actions]
        hostile.check_new_clients()
        wire.send(build("/echo", "4")[1:])
        last = wire.read_answer().find("X-Id")

    assert answers == ["0", "1", "2", "3"]
    assert last == "4"


def test_request_that_arrives_while_another_waits_is_answered_after_it(hostile: Running, port: Port) -> None:
    with hostile.connect(port) as connection:
        wire = Wire(connection)
        for number, action in enumerate(["/wait/0.5", "/echo", "/wait/0.1", "/echo"]):
            wire.send(build(action, str(number)))
            time.sleep(0.1)  # so that the server reads each on its own
        answers = [wire.read_answer().find("X-Id") for _ in range(4)]

    assert answers == ["0", "1", "2", "3"]


def test_close_notify_ends_the_connection_after_the_response(hostile: Running) -> None:
    files = hostile.count_files()
    with hostile.connect(Port.TLS) as connection:
        assert isinstance(connection, ssl.SSLSocket)
        connection.sendall(build("/wait/0.2", "a"))
        with suppress(OSError):
            connection.settimeout(0.05)
            connection.unwrap()
        hostile.check_new_clients()
        hostile.wait_for_files(files)


def send_command(client: "subprocess.Popen[bytes]", command: bytes) -> None:
    assert client.stdin
    client.stdin.write(command)
    client.stdin.flush()


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the program openssl")
@pytest.mark.parametrize(
    ("command", "version"),
    [
        pytest.param(b"K\n", "-tls1_3", id="key-updates-both-ways"),
        pytest.param(b"k\n", "-tls1_3", id="key-updates"),
        pytest.param(b"R\n", "-tls1_2", id="renegotiation"),
    ],
)
def test_flood_of_key_changes_does_not_delay_others(hostile: Running, command: bytes, version: str) -> None:
    files, memory = hostile.count_files(), hostile.read_memory()
    argv = ["openssl", "s_client", version, "-connect", f"127.0.0.1:{hostile.port + 1}"]
    clients = [subprocess.Popen(argv, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL) for _ in range(4)]
    try:
        for _ in range(300):
            for client in clients:
                with suppress(BrokenPipeError):
                    send_command(client, command)
            time.sleep(0.002)
        hostile.check_new_clients()
        hostile.wait_for_files(files)
    finally:
        for client in clients:
            client.kill()
            client.communicate()

    assert hostile.read_memory() - memory < 4 * 1024 * 1024
