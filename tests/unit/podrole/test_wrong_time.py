"""An API server whose certificate is not valid by this machine's clock: what the injector and the command say."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
import trustme
import yaml

from injector.errors import UnreachableError
from injector.k8s.kubeconfig import load_kubeconfig
from injector.k8s.secret import CertificateSecret
from tests.unit.podrole.conftest import Run

TODAY = datetime.now(UTC)
SENTENCE = (
    r"the API server's certificate {} by the clock of this machine, which says \d{{4}}-\d\d-\d\d: check this clock"
)


@pytest.fixture(
    params=[
        pytest.param((-20, "has expired"), id="clock-ahead"),
        pytest.param((20, "is not yet valid"), id="clock-behind"),
    ]
)
def expected(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The sentence, while KUBECONFIG names an API server whose certificate is valid for a day of another month."""
    days, problem = request.param
    valid_from = TODAY + timedelta(days=days)
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    certificate = authority.issue_cert("127.0.0.1", not_before=valid_from, not_after=valid_from + timedelta(days=1))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=refuse_connections, args=(server, context))
        thread.start()
        cluster = {"server": f"https://127.0.0.1:{server.getsockname()[1]}", "certificate-authority": "ca.crt"}
        write_kubeconfig(tmp_path / "config", cluster)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        yield SENTENCE.format(problem)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def refuse_connections(server: socket.socket, context: ssl.SSLContext) -> None:
    """Clients end each handshake."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with suppress(OSError), connection:
            context.wrap_socket(connection, server_side=True).close()


def write_kubeconfig(path: Path, cluster: dict[str, str]) -> None:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path.write_text(yaml.safe_dump(document))


def test_certificate_outside_its_validity_names_the_clock_of_this_machine(expected: str) -> None:
    secret = CertificateSecret(load_kubeconfig(), "podrole-system", "podrole-injector-certs")

    with pytest.raises(
        UnreachableError, match=rf"^cannot get Secret podrole-system/podrole-injector-certs: {expected}"
    ):
        secret.read()


@pytest.mark.parametrize("command", [("check", "team-a/web"), ("preflight",)], ids=["check", "preflight"])
def test_command_names_the_clock_if_a_certificate_is_outside_its_validity(
    run: Run, expected: str, command: tuple[str, ...]
) -> None:
    result = run(*command)

    assert result.code == 3
    assert re.search(expected, " ".join(result.stderr.split())), result.stderr
