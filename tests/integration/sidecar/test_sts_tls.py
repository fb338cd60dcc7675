"""STS with TLS and with a proxy: which CA the child trusts and which proxy it uses."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.sts import process
from sidecar.sts.hints import find_hint
from testing.proxy import Proxy, running_proxy
from testing.services.certificates import CertificateFiles, write_certificates
from testing.services.faulty_sts import FaultySts, faulty_sts
from testing.sidecars import build_environ

HOP = "arn:aws:iam::999988887777:role/hub"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return write_certificates(tmp_path_factory.mktemp("sts"), ["127.0.0.1"])


@pytest.fixture
def tls_sts(certificates: CertificateFiles) -> Iterator[FaultySts]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    with faulty_sts(context) as running:
        yield running


@pytest.fixture
def environ(tls_sts: FaultySts, certificates: CertificateFiles, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("to.ke.n")
    return build_environ(tmp_path, tls_sts.url, PODROLE_STS_CA_PEM=certificates.ca.read_text())


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with running_proxy() as running:
        yield running


def fetch(environ: dict[str, str]) -> Credentials | Failure:
    return process.wait_for_result(process.spawn(environ, attempts=1))


def test_private_ca_is_not_trusted_by_default(environ: dict[str, str], tls_sts: FaultySts) -> None:
    del environ["PODROLE_STS_CA_PEM"]

    outcome = fetch(environ)

    assert isinstance(outcome, Failure)
    assert outcome.code == "SSLError"
    assert "PODROLE_STS_CA" in find_hint(outcome)
    assert tls_sts.requests == []


def test_certificate_of_another_ca_is_rejected(environ: dict[str, str], tls_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = write_certificates(tmp_path / "other", ["127.0.0.1"])

    outcome = fetch(environ | {"PODROLE_STS_CA_PEM": other.ca.read_text()})

    assert isinstance(outcome, Failure)
    assert outcome.code == "SSLError"
    assert tls_sts.requests == []


def test_invalid_ca_pem_is_a_failure(environ: dict[str, str]) -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

    outcome = fetch(environ | {"PODROLE_STS_CA_PEM": broken})

    assert isinstance(outcome, Failure)
    assert outcome.code in {"SSLError", "HTTPClientError"}


def test_configured_ca_is_trusted_for_every_hop(environ: dict[str, str], tls_sts: FaultySts) -> None:
    outcome = fetch(environ | {"PODROLE_INTERMEDIATE_ROLE": HOP})

    assert isinstance(outcome, Credentials)
    assert len(tls_sts.requests) == 2


def test_only_the_configured_ca_is_trusted(
    environ: dict[str, str], tls_sts: FaultySts, certificates: CertificateFiles, tmp_path: Path
) -> None:
    """CA bundle variables of the process have no effect."""
    (tmp_path / "other").mkdir()
    other = write_certificates(tmp_path / "other", ["127.0.0.1"])
    variables = dict.fromkeys(("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(certificates.ca))

    outcome = fetch(environ | variables | {"PODROLE_STS_CA_PEM": other.ca.read_text()})

    assert isinstance(outcome, Failure)
    assert tls_sts.requests == []


def test_unreachable_proxy_is_reported(environ: dict[str, str], tls_sts: FaultySts) -> None:
    outcome = fetch(environ | {"PODROLE_STS_PROXY": "http://127.0.0.1:1"})

    assert isinstance(outcome, Failure)
    assert outcome.code == "ProxyConnectionError"
    assert "PODROLE_STS_PROXY" in find_hint(outcome)
    assert not outcome.is_permanent
    assert tls_sts.requests == []


def test_proxy_tunnels_tls_to_sts(environ: dict[str, str], tls_sts: FaultySts, proxy: Proxy) -> None:
    outcome = fetch(environ | {"PODROLE_STS_PROXY": proxy.url, "PODROLE_INTERMEDIATE_ROLE": HOP})

    assert isinstance(outcome, Credentials)
    assert proxy.requests == [f"CONNECT {tls_sts.url.removeprefix('https://')}"] * 2
    assert len(tls_sts.requests) == 2


def test_proxy_is_not_used_for_the_nodes_metadata_service(
    environ: dict[str, str], tls_sts: FaultySts, proxy: Proxy
) -> None:
    changes = {
        "PODROLE_CREDENTIAL_SOURCE": "node",
        "PODROLE_NODE_METADATA_ENDPOINT": "http://127.0.0.1:1",
        "PODROLE_STS_PROXY": proxy.url,
        "HTTP_PROXY": proxy.url,
        "http_proxy": proxy.url,
    }

    outcome = fetch(environ | changes)

    assert isinstance(outcome, Failure)
    assert outcome.code == "NodeCredentialsMissing"
    assert proxy.requests == []
    assert tls_sts.requests == []


def test_proxy_variables_are_ignored_without_the_setting(environ: dict[str, str], proxy: Proxy) -> None:
    variables = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")

    outcome = fetch(environ | dict.fromkeys(variables, proxy.url))

    assert isinstance(outcome, Credentials)
    assert proxy.requests == []
