"""Where the API server's address and credentials come from: a kubeconfig, or the ServiceAccount of the pod."""

import errno
import json
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import pytest
from kubernetes.config import incluster_config, kube_config

from injector.errors import ClusterError
from injector.k8s.client import ApiClient
from injector.k8s.kubeconfig import load_configuration, load_kubeconfig

KUBECONFIG_HOST, IN_CLUSTER_HOST = "https://kubeconfig.example", "https://10.0.0.1:443"


class ClockThatWasAhead:
    """Stands for `datetime.datetime` of the package."""

    is_ahead = True

    def now(self) -> datetime:
        return datetime(2037 if self.is_ahead else 2026, 6, 1)  # noqa: DTZ001 - as the package has it


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    content = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": KUBECONFIG_HOST}}],
        "users": [{"name": "test", "user": {"token": "secret"}}],
    }
    path = tmp_path / "config"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files and variables that a pod has; returns the path of the CA."""
    (tmp_path / "token").write_text("secret")
    (tmp_path / "ca.crt").write_text("certificate")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    return tmp_path / "ca.crt"


@pytest.fixture(autouse=True)
def no_default_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "absent"))


def test_injector_uses_its_service_account_in_a_pod(service_account: Path) -> None:
    configuration = load_configuration()

    assert configuration.host == IN_CLUSTER_HOST
    assert configuration.ssl_ca_cert == str(service_account)


def test_injector_uses_the_kubeconfig_outside_of_a_pod(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))

    assert load_configuration().host == KUBECONFIG_HOST


def test_injector_without_any_credentials_is_an_error() -> None:
    with pytest.raises(ClusterError, match="no cluster: there is neither"):
        load_configuration()


@pytest.mark.usefixtures("service_account")
def test_commands_prefer_the_kubeconfig_in_a_pod(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))

    assert load_kubeconfig().host == KUBECONFIG_HOST


@pytest.mark.usefixtures("service_account")
def test_commands_use_the_service_account_without_a_kubeconfig() -> None:
    assert load_kubeconfig().host == IN_CLUSTER_HOST


@pytest.mark.usefixtures("service_account")
def test_missing_context_is_an_error_even_in_a_pod(kubeconfig: Path) -> None:
    with pytest.raises(ClusterError, match=r"the kubeconfig .*config, context prod cannot be used"):
        load_kubeconfig(str(kubeconfig), "prod")


def test_kubeconfig_that_does_not_exist_is_named_with_the_ways_to_name_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/absent/a:/absent/b")

    with pytest.raises(
        ClusterError, match=r"no kubeconfig /absent/a or /absent/b: name one with --kubeconfig or in KUBECONFIG"
    ):
        load_kubeconfig()


@pytest.mark.parametrize("context", [None, "prod"], ids=["none-is-set", "missing"])
def test_context_that_does_not_exist_is_named_with_the_command_that_lists_them(
    kubeconfig: Path, context: str | None
) -> None:
    kubeconfig.write_text(kubeconfig.read_text().replace("current-context", "other"))

    with pytest.raises(
        ClusterError, match="; kubectl config get-contexts lists the contexts, and --context chooses one"
    ):
        load_kubeconfig(str(kubeconfig), context)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("clusters: [", id="no-yaml"),
        pytest.param("[1, 2]", id="list"),
        pytest.param("{current-context: c, contexts: 5, clusters: []}", id="number-of-contexts"),
        pytest.param(
            "{current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], "
            "clusters: [{name: c, cluster: {server: 'https://a'}}], users: [{name: u, user: 5}]}",
            id="user-that-is-a-number",
        ),
    ],
)
def test_kubeconfig_that_is_not_valid_is_an_error_on_one_line(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    kubeconfig.write_text(text)

    with pytest.raises(ClusterError, match=r"\Athe kubeconfig .*config cannot be used: .+\Z"):
        load_kubeconfig(str(kubeconfig))
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
    with pytest.raises(ClusterError, match="no cluster"):
        load_configuration()


def test_renewed_token_is_sent_after_a_clock_that_was_years_ahead_is_right_again(
    service_account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall_clock = ClockThatWasAhead()
    monkeypatch.setattr("kubernetes.config.incluster_config.datetime.datetime", wall_clock)
    client = ApiClient(load_configuration())
    wall_clock.is_ahead = False
    (service_account.parent / "token").write_text("renewed")

    assert client.auth_headers() == {"authorization": "bearer renewed"}


def test_last_token_is_sent_while_there_is_no_descriptor_for_its_file(
    service_account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: str) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    client = ApiClient(load_configuration())
    (service_account.parent / "token").write_text("renewed")
    monkeypatch.setattr(incluster_config, "open", refuse, raising=False)

    assert client.auth_headers() == {"authorization": "bearer secret"}
    monkeypatch.delattr(incluster_config, "open")
    assert client.auth_headers() == {"authorization": "bearer renewed"}


@pytest.mark.parametrize("name", ["token", "ca.crt"])
def test_file_of_the_service_account_that_is_no_text_is_an_error_that_says_so(service_account: Path, name: str) -> None:
    (service_account.parent / name).write_bytes(b"\xff")

    with pytest.raises(ClusterError, match="the token or the CA of the pod's ServiceAccount cannot be read"):
        load_configuration()


@pytest.mark.parametrize("end", ["\n", "\r\n", " "], ids=["newline", "crlf", "space"])
def test_space_after_a_token_is_not_sent(service_account: Path, end: str) -> None:
    (service_account.parent / "token").write_text(f"secret{end}")

    assert ApiClient(load_configuration()).auth_headers() == {"authorization": "bearer secret"}


@pytest.mark.parametrize(
    "token",
    [b"sec\nret", "secret\u20ac".encode(), b"secret\x00", b"secret\xff"],
    ids=["newline", "euro", "nul", "no-text"],
)
def test_token_that_no_header_can_have_is_an_error_without_the_token(service_account: Path, token: bytes) -> None:
    configuration = load_configuration()
    (service_account.parent / "token").write_bytes(token)

    with pytest.raises(ClusterError, match="cannot get /version/: the token to authenticate with ") as found:
        ApiClient(configuration).get("/version/")
    assert "sec" not in str(found.value)
