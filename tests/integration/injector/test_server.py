"""The webhook as a process with TLS, called by a plain HTTP client."""

import base64
import datetime as dt
import http.client
import ipaddress
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import jsonpatch
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from injector.webhook.app import MAX_BODY_BYTES
from testing.cases import ENVIRON, load_review
from testing.repository import ROOT

RECORDED = load_review("pod-create-generate-name")


@dataclass(frozen=True)
class Webhook:
    process: subprocess.Popen[str]
    port: int
    log: list[str]


def write_certificate(folder: Path, name: str = "127.0.0.1") -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tls.key").write_bytes(pem)
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def build_environ(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        **ENVIRON,
        "PODROLE_MANIFESTS": str(folder / "manifests"),
        "PODROLE_TLS_CERT": str(folder / "tls.crt"),
        "PODROLE_TLS_KEY": str(folder / "tls.key"),
        "PODROLE_WEBHOOK_HOST": "127.0.0.1",
        "PODROLE_WEBHOOK_PORT": "0",
        "PODROLE_HEALTH_PORT": "0",
    }


def prepare(folder: Path) -> dict[str, str]:
    write_certificate(folder)
    (folder / "manifests").mkdir()
    (folder / "manifests" / "demo.yaml").write_text(
        """
kind: Namespace
metadata: {name: demo, labels: {podrole.io/injection: enabled}, annotations: {podrole.io/default-role: reader}}
"""
    )
    return build_environ(folder)


def spawn(environ: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "injector"],
        cwd=ROOT,
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serve(environ: dict[str, str]) -> Iterator[Webhook]:
    """Run the webhook until the block ends; read its log up to the start."""
    with spawn(environ) as process:
        try:
            log: list[str] = []
            assert process.stderr is not None
            for line in process.stderr:
                log.append(line)
                if "Listening at: https" in line:
                    break
            listening = re.search(r"https://127\.0\.0\.1:(\d+)", "".join(log))
            assert listening, "".join(log)
            yield Webhook(process, int(listening[1]), log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("webhook")


@pytest.fixture(scope="module")
def webhook(folder: Path) -> Iterator[Webhook]:
    with serve(prepare(folder)) as running:
        yield running


@pytest.fixture
def connection(webhook: Webhook, folder: Path) -> Iterator[http.client.HTTPSConnection]:
    context = ssl.create_default_context(cafile=folder / "tls.crt")
    with closing(http.client.HTTPSConnection("127.0.0.1", webhook.port, timeout=10, context=context)) as opened:
        yield opened


def post(connection: http.client.HTTPSConnection, body: bytes) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip", "User-Agent": "kube-apiserver-admission"}
    connection.request("POST", "/mutate?timeout=5s", body, headers)
    response = connection.getresponse()
    return response.status, response.read()


def test_invalid_review_gets_400_on_a_connection_that_stays_open(connection: http.client.HTTPSConnection) -> None:
    status, body = post(connection, b"[]")
    socket = connection.sock
    good, _ = post(connection, json.dumps(RECORDED).encode())

    assert status == 400
    assert b"AdmissionReview" in body
    assert good == 200
    assert connection.sock is socket


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_1_1_is_rejected(webhook: Webhook) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    old = http.client.HTTPSConnection("127.0.0.1", webhook.port, timeout=10, context=context)

    with closing(old), pytest.raises(ssl.SSLError, match=r"(?i)version"):
        old.connect()


def test_tls_1_2_is_accepted(webhook: Webhook, folder: Path) -> None:
    context = ssl.create_default_context(cafile=folder / "tls.crt")
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with closing(http.client.HTTPSConnection("127.0.0.1", webhook.port, timeout=10, context=context)) as connection:
        status, _ = post(connection, json.dumps(RECORDED).encode())

    assert status == 200


def test_recorded_review_is_answered_with_a_patch_that_applies(connection: http.client.HTTPSConnection) -> None:
    status, body = post(connection, json.dumps(RECORDED).encode())

    response = json.loads(body)["response"]
    patch = jsonpatch.JsonPatch(json.loads(base64.b64decode(response["patch"])))
    pod = patch.apply(RECORDED["request"]["object"])
    assert status == 200
    assert response["uid"] == RECORDED["request"]["uid"]
    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["podrole-redirect", "podrole-sidecar"]


def test_review_of_one_mebibyte_is_answered(connection: http.client.HTTPSConnection) -> None:
    pod = {**RECORDED["request"]["object"], "futureField": "x" * 1024 * 1024}
    review = {**RECORDED, "request": {**RECORDED["request"], "object": pod}}

    status, body = post(connection, json.dumps(review).encode())

    assert status == 200
    assert json.loads(body)["response"]["allowed"] is True


def test_too_large_body_is_rejected_unread(connection: http.client.HTTPSConnection) -> None:
    connection.putrequest("POST", "/mutate")
    connection.putheader("Content-Length", str(MAX_BODY_BYTES + 1))
    connection.endheaders()

    assert connection.getresponse().status == 413


def test_renewed_certificate_is_served_without_a_restart(tmp_path: Path) -> None:
    with serve(prepare(tmp_path)) as running:
        address = ("127.0.0.1", running.port)
        first = ssl.get_server_certificate(address, timeout=10)
        write_certificate(tmp_path)

        second = ssl.get_server_certificate(address, timeout=10)

    assert first != second
    assert second == (tmp_path / "tls.crt").read_text()


def test_process_exits_with_0_at_sigterm(tmp_path: Path) -> None:
    with serve(prepare(tmp_path)) as running:
        running.process.send_signal(signal.SIGTERM)
        running.process.communicate(timeout=60)

    assert running.process.returncode == 0


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        (
            {"PODROLE_REGION": "", "PODROLE_REDIRECT_BACKEND": "ebpf"},
            ["PODROLE_REGION is not set", "PODROLE_REDIRECT_BACKEND is 'ebpf'"],
        ),
        ({"PODROLE_TLS_KEY": "/nowhere/tls.key"}, ["/nowhere/tls.key cannot be loaded"]),
        ({"PODROLE_TLS_CERT": __file__}, [f"{__file__} and"]),
        ({"PODROLE_TEMPLATE": "/nowhere/template.yaml"}, ["/nowhere/template.yaml"]),
        ({"PODROLE_MANIFESTS": "/nowhere"}, ["no manifests at /nowhere"]),
        ({"PODROLE_MANIFESTS": "", "KUBECONFIG": "/nowhere/config"}, ["no cluster"]),
    ],
    ids=["two-settings", "no-tls-key", "wrong-tls-cert", "no-template", "no-manifests", "no-kubeconfig"],
)
def test_invalid_setting_exits_with_code_2_and_a_message(
    tmp_path: Path, settings: dict[str, str], messages: list[str]
) -> None:
    environ = {**prepare(tmp_path), **settings}

    with spawn(environ) as process:
        _, log = process.communicate(timeout=60)

    assert process.returncode == 2, log
    assert "Traceback" not in log
    assert "podrole-injector: " in log
    for message in messages:
        assert message in log
