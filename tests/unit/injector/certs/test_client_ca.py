"""Which clients finish a handshake, over real sockets."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
import trustme

from injector.certs.client_ca import ClientCa, VerifyingTls
from injector.certs.tls import FileTls
from injector.deadlines import CERT_RELOAD_SECONDS
from injector.errors import CertificateError
from testing.clock import Clock
from testing.services.certificates import CertificateFiles, write_certificates

NAME = "kube-apiserver"


@pytest.fixture
def server_files(tmp_path: Path) -> CertificateFiles:
    return write_certificates(tmp_path, ["127.0.0.1"])


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(tmp_path: Path, ca: trustme.CA) -> Path:
    path = tmp_path / "clients.crt"
    ca.cert_pem.write_to_path(path)
    return path


def build_tls(server_files: CertificateFiles, ca: ClientCa, common_name: str | None = None) -> VerifyingTls:
    return VerifyingTls(FileTls(server_files.certificate, server_files.key), ca, common_name)


@contextmanager
def listening(tls: VerifyingTls) -> Iterator[int]:
    """Answer each client whose handshake succeeds."""

    def accept() -> None:
        while True:
            accepted, _ = listener.accept()
            if stopping:
                accepted.close()
                return
            try:
                with tls.context().wrap_socket(accepted, server_side=True) as secured:
                    secured.sendall(secured.recv(100))
            except OSError:
                accepted.close()

    stopping: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopping.append(True)
            socket.create_connection(listener.getsockname()).close()
            thread.join(10)


def is_answered(port: int, server_ca: Path, certificate: trustme.LeafCert | None) -> bool:
    """Whether a client with this certificate gets an answer."""
    context = ssl.create_default_context(cafile=str(server_ca))
    if certificate:
        certificate.configure_cert(context)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            secured.sendall(b"hello")
            return secured.recv(100) == b"hello"
    except OSError:
        return False


@pytest.fixture
def certificates(ca: trustme.CA) -> dict[str, trustme.LeafCert | None]:
    return {
        "none": None,
        "signed": ca.issue_cert(common_name=NAME),
        "nameless": ca.issue_cert("client.example.com"),
        "of-another-ca": trustme.CA().issue_cert(common_name=NAME),
    }


@pytest.mark.parametrize(
    ("client", "common_name"),
    [
        pytest.param("none", None, id="no-certificate"),
        pytest.param("of-another-ca", None, id="another-ca"),
        pytest.param("of-another-ca", NAME, id="another-ca-with-the-name"),
        pytest.param("signed", "kubelet", id="another-name"),
        pytest.param("nameless", NAME, id="no-name"),
    ],
)
def test_client_without_the_right_certificate_is_not_answered(
    server_files: CertificateFiles,
    ca_file: Path,
    certificates: dict[str, trustme.LeafCert | None],
    client: str,
    common_name: str | None,
) -> None:
    with listening(build_tls(server_files, ClientCa(ca_file), common_name)) as port:
        assert not is_answered(port, server_files.ca, certificates[client])


@pytest.mark.parametrize("common_name", [pytest.param(None, id="any-name"), pytest.param(NAME, id="the-name")])
def test_client_with_a_certificate_of_the_ca_is_answered(
    server_files: CertificateFiles,
    ca_file: Path,
    certificates: dict[str, trustme.LeafCert | None],
    common_name: str | None,
) -> None:
    with listening(build_tls(server_files, ClientCa(ca_file), common_name)) as port:
        assert is_answered(port, server_files.ca, certificates["signed"])


def test_replaced_ca_is_used_at_the_next_handshake(
    server_files: CertificateFiles, ca: trustme.CA, ca_file: Path
) -> None:
    new = trustme.CA()
    with listening(build_tls(server_files, ClientCa(ca_file))) as port:
        assert is_answered(port, server_files.ca, ca.issue_cert(common_name=NAME))

        new.cert_pem.write_to_path(ca_file.with_suffix(".new"))
        ca_file.with_suffix(".new").replace(ca_file)

        assert not is_answered(port, server_files.ca, ca.issue_cert(common_name=NAME))
        assert is_answered(port, server_files.ca, new.issue_cert(common_name=NAME))


def test_renewed_serving_certificate_still_needs_a_client_certificate(
    server_files: CertificateFiles, ca: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    tls = build_tls(server_files, ClientCa(ca_file))
    before = tls.context()
    renewed = write_certificates(tmp_path, ["127.0.0.1"])

    assert tls.context() is not before
    with listening(tls) as port:
        assert not is_answered(port, renewed.ca, None)
        assert is_answered(port, renewed.ca, ca.issue_cert(common_name=NAME))


def test_old_context_is_kept_while_a_new_one_cannot_be_built(
    server_files: CertificateFiles, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = build_tls(server_files, ClientCa(ca_file))
    context = tls.context()
    trustme.CA().cert_pem.write_to_path(ca_file)

    with monkeypatch.context() as exhausted:
        exhausted.setattr("os.memfd_create", fail)
        assert tls.context() is context
    assert tls.context() is not context


def fail(*_: object) -> int:
    raise OSError("too many open files")


def test_context_is_reused_while_files_are_unchanged(server_files: CertificateFiles, ca_file: Path) -> None:
    tls = build_tls(server_files, ClientCa(ca_file))

    assert tls.context() is tls.context()


each_broken_file = pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="damaged"),
        pytest.param(b"\xff\xfe", id="binary"),
        pytest.param(b"x" * 10, id="no-pem"),
    ],
)


@each_broken_file
def test_file_that_cannot_be_loaded_keeps_the_old_cas_and_is_logged_once(
    server_files: CertificateFiles, ca: trustme.CA, ca_file: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    tls = build_tls(server_files, ClientCa(ca_file, clock))
    context = tls.context()
    ca_file.write_bytes(content)

    for _ in range(3):
        clock.now += CERT_RELOAD_SECONDS
        assert tls.context() is context
    assert tls.load_failures == 3
    assert caplog.text.count("The previous CAs stay in use") == 1

    ca.cert_pem.write_to_path(ca_file)
    clock.now += CERT_RELOAD_SECONDS
    assert tls.context().verify_mode == ssl.CERT_REQUIRED
    assert tls.load_failures == 3


@each_broken_file
def test_file_that_cannot_be_loaded_at_startup_raises(ca_file: Path, content: bytes) -> None:
    ca_file.write_bytes(content)

    with pytest.raises(CertificateError, match=r"clients\.crt cannot be loaded"):
        ClientCa(ca_file)


def test_missing_file_at_startup_raises(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="cannot be loaded"):
        ClientCa(tmp_path / "missing")
