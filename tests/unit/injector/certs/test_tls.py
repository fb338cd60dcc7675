"""Real handshakes over sockets while certificate files are renewed, damaged or half-written, or resources run out."""

import logging
import resource
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from injector.certs.tls import FileTls, MemoryTls, Tls
from injector.certs.x509 import KeyPair, Lifetimes, issue_ca, issue_serving_cert
from injector.errors import CertificateError
from testing.clock import Clock

LIFETIMES = Lifetimes()
CA = issue_ca(time.time(), LIFETIMES)


def issue() -> KeyPair:
    return issue_serving_cert(CA, {"localhost"}, time.time(), LIFETIMES)


@contextmanager
def serve(tls: Tls) -> Iterator[int]:
    """Echo over TLS, with the current context for each connection; yield the port."""

    def answer(connection: socket.socket) -> None:
        with closing(connection), tls.context().wrap_socket(connection, server_side=True) as secured:
            while received := secured.recv(100):
                secured.sendall(received)

    def accept(listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            if stopping:
                connection.close()
                return
            threads.append(Thread(target=answer, args=(connection,)))
            threads[-1].start()

    threads: list[Thread] = []
    stopping: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = Thread(target=accept, args=(listener,))
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopping.append(True)
            socket.create_connection(listener.getsockname()).close()
            for thread in [acceptor, *threads]:
                thread.join(10)


@contextmanager
def connect(port: int) -> Iterator[ssl.SSLSocket]:
    client = ssl.create_default_context(cadata=CA.certificate.pem)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        client.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        yield secured


def certificate_of(connection: ssl.SSLSocket) -> str:
    der = connection.getpeercert(binary_form=True)
    assert der
    return ssl.DER_cert_to_PEM_cert(der)


def fetch_certificate(port: int) -> str:
    with connect(port) as connection:
        return certificate_of(connection)


def echo(connection: ssl.SSLSocket) -> bytes:
    connection.sendall(b"hello")
    return connection.recv(100)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    write(tmp_path, issue())
    return tmp_path / "tls.crt", tmp_path / "tls.key"


def write(folder: Path, pair: KeyPair) -> None:
    (folder / "tls.key").write_text(pair.key_pem)
    (folder / "tls.crt").write_text(pair.certificate.pem)


def test_new_certificate_is_used_for_new_handshakes_only() -> None:
    tls, first, second = MemoryTls(), issue(), issue()
    tls.install(first)

    with serve(tls) as port, connect(port) as old:
        assert echo(old) == b"hello"
        tls.install(second)

        assert fetch_certificate(port) == second.certificate.pem
        assert certificate_of(old) == first.certificate.pem
        assert echo(old) == b"hello"
    assert tls.certificate_not_after == second.certificate.not_after


def test_context_before_the_first_certificate_raises() -> None:
    with pytest.raises(CertificateError, match="no certificate is loaded yet"):
        MemoryTls().context()


def test_context_is_reused_while_files_are_unchanged(files: tuple[Path, Path]) -> None:
    tls = FileTls(*files)

    assert tls.context() is tls.context()


def test_minimum_version_is_tls_1_2() -> None:
    tls = MemoryTls()
    tls.install(issue())

    assert tls.context().minimum_version == ssl.TLSVersion.TLSv1_2


def test_alpn_selects_http_1_1() -> None:
    tls = MemoryTls()
    tls.install(issue())
    client = ssl.create_default_context(cadata=CA.certificate.pem)
    client.set_alpn_protocols(["h2", "http/1.1"])  # what an API server offers

    with (
        serve(tls) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        client.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        assert secured.selected_alpn_protocol() == "http/1.1"


def test_renewed_files_are_used_at_the_next_handshake(files: tuple[Path, Path]) -> None:
    tls, renewed = FileTls(*files), issue()

    with serve(tls) as port:
        before = fetch_certificate(port)
        write(files[0].parent, renewed)

        assert fetch_certificate(port) == renewed.certificate.pem
        assert before != renewed.certificate.pem
    assert tls.certificate_not_after == renewed.certificate.not_after


def test_renewed_secret_volume_is_detected_through_symlinks(tmp_path: Path) -> None:
    """The kubelet writes a new directory and replaces a symlink to it."""
    first, second = issue(), issue()
    for name, pair in (("one", first), ("two", second)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, pair)
    (tmp_path / "..data").symlink_to("one")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(Path("..data") / name)
    tls = FileTls(tmp_path / "tls.crt", tmp_path / "tls.key")

    with serve(tls) as port:
        before = fetch_certificate(port)
        (tmp_path / "..data_tmp").symlink_to("two")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

        assert (before, fetch_certificate(port)) == (first.certificate.pem, second.certificate.pem)


def encrypt(pair: KeyPair) -> str:
    form = Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    return pair.key.private_bytes(*form).decode()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda files, pair: files[0].write_text(pair.certificate.pem), "the key belongs to another certificate"),
        (lambda files, pair: files[1].write_text(pair.key_pem), "the key belongs to another certificate"),
        (lambda files, pair: files[0].write_text(pair.certificate.pem[:300]), "damaged or missing"),
        (lambda files, pair: files[1].write_text(pair.key_pem[:100]), "damaged or missing"),
        (lambda files, _: files[0].write_text(""), "damaged or missing"),
        (lambda files, _: files[1].unlink(), "No such file or directory"),
        (lambda files, _: files[0].unlink(), "No such file or directory"),
        (lambda files, pair: files[1].write_text(encrypt(pair)), "the key is encrypted"),
        (lambda files, _: files[0].write_bytes(b"\xff\xfe"), "damaged or missing"),
    ],
    ids=["new-cert", "new-key", "half-cert", "half-key", "empty", "no-key", "no-cert", "encrypted", "not-text"],
)
def test_pair_that_cannot_be_loaded_keeps_the_old_one_and_is_logged_once(
    files: tuple[Path, Path], caplog: pytest.LogCaptureFixture, damage: object, message: str
) -> None:
    clock = Clock()
    tls, repaired = FileTls(*files, clock), issue()
    served = files[0].read_text()
    assert callable(damage)

    with serve(tls) as port, caplog.at_level(logging.ERROR):
        damage(files, issue())
        broken = []
        for clock.now in (1, 2, 2.5, 5):
            broken.append(fetch_certificate(port))
        write(files[0].parent, repaired)
        clock.now = 10

        assert broken == [served] * 4
        assert fetch_certificate(port) == repaired.certificate.pem
    assert len(caplog.messages) == 1
    assert message in caplog.messages[0]
    assert all(str(file) in caplog.messages[0] for file in files)
    assert "stays in use" in caplog.messages[0]
    assert tls.load_failures == 3


def test_files_that_cannot_be_loaded_at_startup_raise(files: tuple[Path, Path]) -> None:
    files[1].write_text(issue().key_pem)

    with pytest.raises(CertificateError, match=r"tls.crt and .*tls.key cannot be loaded: the key belongs to another"):
        FileTls(*files)


SCRIPT = """
import resource, sys, time
from pathlib import Path
from injector.certs.x509 import Lifetimes, issue_ca, issue_serving_cert
from injector.errors import CertificateError
from injector.certs.tls import FileTls, MemoryTls

def issue():
    return issue_serving_cert(issue_ca(time.time(), Lifetimes()), {"localhost"}, time.time(), Lifetimes())

def write(pair):
    key.write_text(pair.key_pem)
    certificate.write_text(pair.certificate.pem)

certificate, key = Path(sys.argv[2]) / "tls.crt", Path(sys.argv[2]) / "tls.key"
write(issue())
memory, files = MemoryTls(), FileTls(certificate, key)
memory.install(issue())
before = memory.context(), files.context(), memory.certificate_not_after
write(issue())
limit = getattr(resource, sys.argv[1])
kept = resource.getrlimit(limit)
resource.setrlimit(limit, (int(sys.argv[3]), kept[1]))
try:
    memory.install(issue())
except CertificateError as error:
    print(error)
after = memory.context(), files.context(), memory.certificate_not_after
print(after == before, memory.load_failures, files.load_failures)
resource.setrlimit(limit, kept)
time.sleep(1.1)
memory.install(issue())
print(memory.context() is before[0], files.context() is before[1])
"""


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [("RLIMIT_FSIZE", 100, "File too large"), ("RLIMIT_NOFILE", 3, "Too many open files")],
    ids=["file-size", "open-files"],
)
def test_old_pair_is_kept_while_resources_are_exhausted(tmp_path: Path, limit: str, value: int, message: str) -> None:
    command = [sys.executable, "-c", SCRIPT, limit, str(tmp_path), str(value)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout.splitlines()[1:] == ["True 1 1", "False False"], done.stderr
    assert "they cannot be loaded into memory" in done.stdout
    assert message in done.stdout
    assert "stays in use" in done.stderr


def test_renewals_leak_no_file_descriptors() -> None:
    tls, pair = MemoryTls(), issue()

    tls.install(pair)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(100):
        tls.install(pair)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert before < resource.getrlimit(resource.RLIMIT_NOFILE)[0]
