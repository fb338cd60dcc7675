"""Credential sources: their settings and annotations, and what a sidecar gets from them."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.modes import CredentialSource
from injector.config import Config
from injector.decision.annotations import ParsedAnnotations, parse_annotations
from injector.decision.session_tags import find_tag_problems
from injector.errors import ConfigError
from injector.k8s.objects import Metadata
from injector.patch.sts_ca import load_sts_ca
from injector.value_types import ModePolicy, OverrideName, RedirectBackend
from sidecar.config import Config as SidecarConfig
from sidecar.sts.endpoints import find_sts_url
from testing.cases import CONFIG, ENVIRON, Case, environment_of, find_container, load_case
from testing.repository import ROOT
from testing.services.certificates import CertificateFiles, write_certificates
from tests.unit.contract.test_contract import resolve

HUB = "arn:aws:iam::111122223333:role/hub"
NODE = CONFIG._replace(credential_source=CredentialSource.NODE, node_access_requires_users=False)
PASSING = CONFIG._replace(
    allow_overrides=frozenset({OverrideName.METADATA_PASSTHROUGH}), node_access_requires_users=False
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return write_certificates(tmp_path_factory.mktemp("sts"), ["sts.example"])


def parse(annotations: dict[str, str], config: Config = CONFIG, through: str | None = HUB) -> ParsedAnnotations:
    namespace = Metadata({}, {"podrole.io/intermediate-role": through} if through is not None else {})
    return parse_annotations(Metadata({}, annotations), namespace, None, config)


def read_errors(annotations: dict[str, str], config: Config = CONFIG, through: str | None = HUB) -> list[str]:
    return [error.text for error in parse(annotations, config, through).errors]


def read_sidecar(case: Case, config: Config = CONFIG) -> SidecarConfig:
    """The sidecar's configuration from its injected environment."""
    return SidecarConfig.from_environ(resolve(environment_of(find_container(case.inject(config), "podrole-sidecar"))))


def refuse(**changes: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Config.from_environ(ENVIRON | changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", '"" is not key=value'),
        ("team", '"team" is not key=value'),
        ("=a", '"=a" is not key=value'),
        ("team=a,", '"" is not key=value'),
        ("team=a,,site=b", '"" is not key=value'),
        ("team=a, site=b", '" site=b" has a space next to a comma or an equals sign'),
        ("team = a", '"team = a" has a space next to a comma or an equals sign'),
        ("team=a\n", '"team=a\\n" has a space next to a comma or an equals sign'),
        ("te\nam=a", "has '\\n', but STS accepts only letters"),
        ("team=a;b", "has ';', but STS accepts only letters"),
        ("team=$(HOME)", "has '$', but STS accepts only letters"),
        ("team=\u0301", "has '\\u0301', but STS accepts only letters"),
        ("aws:team=a", 'has a key that begins with "aws:"'),
        ("AWS:team=a", 'has a key that begins with "aws:"'),
        pytest.param("k" * 129 + "=a", "is too long: a key has 128 characters at most", id="key too long"),
        pytest.param("k=" + "v" * 257, "is too long", id="value too long"),
        ("Team=a,team=b", '"team" appears 2 times'),
        pytest.param(",".join(f"k{n}=v" for n in range(51)), "it has 51 tags, the maximum is 50", id="51 tags"),
    ],
)
def test_invalid_session_tags_are_an_error(text: str, problem: str) -> None:
    [error] = read_errors({"podrole.io/session-tags": text})

    assert error.startswith("annotation podrole.io/session-tags of the pod has invalid session tags: ")
    assert problem in " ".join(find_tag_problems(text))
    assert problem in error


@pytest.mark.parametrize(
    "text",
    [
        "team=a",
        "team=",
        "cost center=a b",
        "a=b=c",
        "é日本=\u0661+-@/:_.",
        pytest.param("k" * 128 + "=" + "v" * 256, id="longest key and value"),
        pytest.param(",".join(f"k{n}=v" for n in range(50)), id="50 tags"),
    ],
)
def test_valid_session_tags_reach_the_sidecar(text: str) -> None:
    case = load_case("intermediate-role-with-tags")
    case.pod["metadata"]["annotations"]["podrole.io/session-tags"] = text

    config = read_sidecar(case)

    assert config.session_tags == tuple(tuple(tag.split("=", 1)) for tag in text.split(","))


@pytest.mark.parametrize("value", ["", "x", "a b", pytest.param("x" * 1225, id="too long"), "a;b", "ok\n", "é" * 3])
def test_invalid_external_id_is_an_error(value: str) -> None:
    [error] = read_errors({"iam.amazonaws.com/external-id": value})

    assert "2 to 1224" in error


@pytest.mark.parametrize("key", ["iam.amazonaws.com/external-id", "podrole.io/session-tags"])
def test_parameters_of_role_chaining_need_an_intermediate_role(key: str) -> None:
    [error] = read_errors({key: "a=b"}, through=None)

    assert error == (
        f"annotation {key} of the pod cannot be used with web identity credentials. "
        "Remove it, or have podrole.io/intermediate-role added to the namespace."
    )


@pytest.mark.parametrize(
    ("through", "problem"),
    [
        (" ", "not a valid role"),
        ("a b", "not a valid role"),
        ("arn:aws:iam::1:role/hub", "not a valid role"),
        ("arn:aws-cn:iam::111122223333:role/hub", "aws-cn"),
    ],
)
def test_invalid_intermediate_role_is_an_error(through: str, problem: str) -> None:
    [error] = read_errors({}, through=through)

    assert "annotation podrole.io/intermediate-role of the namespace" in error
    assert problem in error


def test_empty_intermediate_role_counts_as_none() -> None:
    assert parse({}, through="") == parse({}, through=None)


@pytest.mark.parametrize("duration", ["3601", "43200"])
def test_chained_session_longer_than_an_hour_is_an_error(duration: str) -> None:
    annotations = {"podrole.io/session-duration": duration}

    [through], [of_node] = read_errors(annotations), read_errors(annotations, NODE, None)

    assert "podrole.io/intermediate-role of the namespace assumes the pod's role" in through
    assert "the node's role assumes the pod's role" in of_node
    assert read_errors(annotations, through=None) == []


def test_invalid_duration_is_reported_once() -> None:
    assert len(read_errors({"podrole.io/session-duration": "9999s"})) == 1


def test_node_source_allows_external_id_and_tags() -> None:
    assert read_errors({"iam.amazonaws.com/external-id": "42", "podrole.io/session-tags": "a=b"}, NODE, None) == []


def test_sidecar_gets_the_role_chain_of_the_annotations() -> None:
    config = read_sidecar(load_case("intermediate-role-with-tags"))

    assert config.chain == (HUB, "arn:aws:iam::444455556666:role/team-a/reader")
    assert config.external_id == "shop:42"
    assert config.session_tags == (("team", "a"), ("cost center", "42"))
    assert config.session_duration_seconds == 3600


def test_dollar_in_a_role_path_is_not_expanded_by_kubernetes() -> None:
    case = load_case("intermediate-role")
    hop = "arn:aws:iam::111122223333:role/$(PODROLE_REGION)/hub"
    changed = replace(case, namespace=Metadata(case.namespace.labels, {"podrole.io/intermediate-role": hop}))  # type: ignore[union-attr] # the case has one

    [value] = [
        variable["value"]
        for variable in find_container(changed.inject(), "podrole-sidecar")["env"]
        if variable["name"] == "PODROLE_INTERMEDIATE_ROLE"
    ]

    assert value == "arn:aws:iam::111122223333:role/$$(PODROLE_REGION)/hub"


def test_sidecar_gets_no_chaining_variables_by_default() -> None:
    environment = environment_of(find_container(load_case("role-on-the-pod").inject(), "podrole-sidecar"))

    assert not [name for name in environment if "SOURCE" in name or "INTERMEDIATE" in name or "NODE" in name]


@pytest.mark.parametrize("redirect", ["nftables", "iptables"])
@pytest.mark.parametrize(
    ("pod", "config"), [("asks-for-passthrough", PASSING), ("role-allowed", NODE)], ids=["passthrough", "node"]
)
def test_rules_let_the_sidecar_reach_the_node_if_it_needs_to(pod: str, config: Config, redirect: str) -> None:
    assert lets_sidecar_pass(load_case(pod).inject(config._replace(redirect_backend=RedirectBackend(redirect))))


@pytest.mark.parametrize("redirect", ["nftables", "iptables"])
@pytest.mark.parametrize("config", [CONFIG, PASSING], ids=["web identity", "passthrough not requested"])
def test_rules_let_no_user_reach_the_node_by_default(config: Config, redirect: str) -> None:
    assert not lets_sidecar_pass(
        load_case("role-on-the-pod").inject(config._replace(redirect_backend=RedirectBackend(redirect)))
    )


def lets_sidecar_pass(pod: dict[str, Any]) -> bool:
    words = " ".join(pod["spec"]["initContainers"][0]["command"])
    assert "listen=16925" in words or "--listen 16925" in words
    return "sidecar_uid=16925 -f /etc/podrole/redirect-node.nft" in words or "--sidecar-uid 16925" in words


def test_pod_without_role_is_blocked_with_the_node_source() -> None:
    blocked = load_case("no-role").inject(NODE)

    assert blocked["spec"]["initContainers"][0]["command"] == ["nft", "-f", "/etc/podrole/block.nft"]


def test_node_source_in_env_mode_has_no_redirect() -> None:
    case = load_case("role-allowed")

    names = [
        container["name"] for container in case.inject(NODE._replace(mode=ModePolicy.ENV))["spec"]["initContainers"]
    ]

    assert names == ["podrole-sidecar"]
    assert read_sidecar(case, NODE._replace(mode=ModePolicy.ENV)).credential_source == "node"


def test_ipv6_only_pods_reach_the_node_by_ipv6() -> None:
    config = read_sidecar(load_case("asks-for-passthrough"), PASSING._replace(ipv6_only=True))

    assert config.metadata_passthrough
    assert config.node_metadata_endpoint == "http://[fd00:ec2::254]"


def test_only_pods_that_pass_metadata_through_get_the_operators_paths() -> None:
    paths = ("meta-data/spot/instance-action", "meta-data/tags/instance/*")
    config = PASSING._replace(metadata_passthrough_paths=paths)

    assert read_sidecar(load_case("asks-for-passthrough"), config).metadata_passthrough_paths == paths
    assert read_sidecar(load_case("asks-for-passthrough"), PASSING).metadata_passthrough_paths is None
    assert read_sidecar(load_case("role-allowed"), config).metadata_passthrough_paths is None


def test_self_check_omits_the_addresses_that_lead_to_the_node() -> None:
    others = ("169.254.170.2", "169.254.170.23", "fd00:ec2::23")

    assert read_sidecar(load_case("role-allowed"), NODE).redirected_addresses == others
    assert read_sidecar(load_case("asks-for-passthrough"), PASSING).redirected_addresses == others
    assert len(read_sidecar(load_case("role-allowed")).redirected_addresses) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"PODROLE_CREDENTIAL_SOURCE": "imds"},
            "PODROLE_CREDENTIAL_SOURCE is 'imds': it must be web-identity or node",
            id="unknown source",
        ),
        pytest.param(
            {"PODROLE_STS_CA": "ca.pem"}, "PODROLE_STS_CA is 'ca.pem': it must be an absolute path", id="relative path"
        ),
        pytest.param(
            {"PODROLE_STS_PROXY": "proxy:3128"}, "PODROLE_STS_PROXY is 'proxy:3128'", id="proxy without scheme"
        ),
        pytest.param(
            {"PODROLE_STS_PROXY": "http://proxy"}, "PODROLE_STS_PROXY is 'http://proxy'", id="proxy without port"
        ),
        pytest.param({"PODROLE_STS_PROXY": "http://$(HOME):3128"}, "PODROLE_STS_PROXY is", id="proxy with a reference"),
        pytest.param({"PODROLE_USE_FIPS": "yes"}, "PODROLE_USE_FIPS is 'yes'", id="boolean"),
        pytest.param(
            {"PODROLE_USE_FIPS": "true", "PODROLE_STS_ENDPOINT": "https://sts.example"},
            "PODROLE_USE_FIPS and PODROLE_STS_ENDPOINT are both set",
            id="FIPS and endpoint",
        ),
        pytest.param(
            {"PODROLE_USE_DUALSTACK": "true", "PODROLE_STS_ENDPOINT": "https://sts.example"},
            "PODROLE_USE_DUALSTACK and PODROLE_STS_ENDPOINT are both set",
            id="dual-stack and endpoint",
        ),
        pytest.param(
            {"PODROLE_ALLOW_OVERRIDES": "passthrough"},
            "a list of inject, mode, metadata-passthrough",
            id="unknown override",
        ),
    ],
    ids=[
        "unknown-source",
        "relative-ca-path",
        "proxy-without-scheme",
        "proxy-without-port",
        "proxy-with-reference",
        "not-a-boolean",
        "fips-and-endpoint",
        "dual-stack-and-endpoint",
        "unknown-override",
    ],
)
def test_invalid_setting_is_rejected(changes: dict[str, str], message: str) -> None:
    assert message in refuse(**changes)


def test_password_in_the_proxy_url_is_rejected_and_not_repeated() -> None:
    message = refuse(PODROLE_STS_PROXY="http://user:hunter2@proxy:3128")

    assert "PODROLE_STS_PROXY is a URL with a user name or password, which every pod would show" in message
    assert "hunter2" not in message


def test_proxy_and_ca_of_sts_reach_the_sidecar(certificates: CertificateFiles) -> None:
    settings = {"PODROLE_STS_PROXY": "http://proxy:3128", "PODROLE_STS_CA": str(certificates.ca)}

    config = read_sidecar(load_case("role-on-the-pod"), Config.from_environ(ENVIRON | settings))

    assert config.sts_proxy == "http://proxy:3128"
    assert config.sts_ca_pem is not None
    assert config.sts_ca_pem.split() == certificates.ca.read_text().split()
    assert not config.use_fips


def test_fips_reaches_the_sidecar() -> None:
    assert read_sidecar(load_case("role-on-the-pod"), CONFIG._replace(use_fips=True)).use_fips


def test_dual_stack_reaches_the_sidecar() -> None:
    assert not read_sidecar(load_case("role-on-the-pod"), CONFIG).use_dualstack
    assert read_sidecar(load_case("role-on-the-pod"), CONFIG._replace(use_dualstack=True)).use_dualstack


@pytest.mark.parametrize(
    ("settings", "is_used"),
    [
        pytest.param({}, True, id="nothing-else"),
        pytest.param({"PODROLE_USE_FIPS": "true"}, True, id="fips"),
        pytest.param({"PODROLE_USE_DUALSTACK": "false"}, False, id="refused-by-the-operator"),
        pytest.param({"PODROLE_STS_PROXY": "http://proxy:3128"}, False, id="proxy-has-the-addresses"),
        pytest.param({"PODROLE_STS_ENDPOINT": "https://vpce.example.com"}, False, id="other-endpoint"),
    ],
)
def test_ipv6_only_pods_use_the_dual_stack_endpoint_of_sts(settings: dict[str, str], *, is_used: bool) -> None:
    config = Config.from_environ(ENVIRON | {"PODROLE_IPV6_ONLY": "true"} | settings)

    sidecar = read_sidecar(load_case("role-on-the-pod"), config)

    assert sidecar.use_dualstack is is_used
    assert find_sts_url(sidecar).endswith(".api.aws") is is_used


def test_path_of_the_sts_endpoint_reaches_the_sidecar() -> None:
    endpoint = "https://vpce.example.com:8443/sts"

    config = read_sidecar(
        load_case("role-on-the-pod"), Config.from_environ(ENVIRON | {"PODROLE_STS_ENDPOINT": endpoint})
    )

    assert config.sts_endpoint == endpoint


def build_wrong_files(certificates: CertificateFiles) -> dict[str, tuple[bytes | None, str]]:
    ca = certificates.ca.read_bytes()
    return {
        "missing": (None, "cannot be read"),
        "binary": (b"\xff\xfe\x00", "cannot be read"),
        "empty": (b"", "is not a PEM file of certificates"),
        "text": (b"hello", "is not a PEM file of certificates"),
        "damaged": (ca.replace(b"M", b"!"), "is not a PEM file of certificates"),
        "cut short": (ca[:-40], "is not a PEM file of certificates"),
        "no certificate": (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "holds a certificate that cannot be read",
        ),
        "one of two damaged": (ca + ca[:-40], "is not a PEM file of certificates"),
        "with a key": (ca + certificates.key.read_bytes(), "has a private key in it"),
        "too many": (ca * 100, "characters, and the maximum is 32768"),
    }


@pytest.mark.parametrize(
    "name",
    [
        *("missing", "binary", "empty", "text", "damaged", "cut short"),
        *("no certificate", "one of two damaged", "with a key", "too many"),
    ],
)
def test_invalid_ca_file_is_rejected_with_its_path(name: str, certificates: CertificateFiles, tmp_path: Path) -> None:
    content, said = build_wrong_files(certificates)[name]
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load_sts_ca(path)

    assert str(caught.value).startswith("PODROLE_STS_CA: ")
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_only_certificates_of_the_ca_file_are_injected(certificates: CertificateFiles, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(f"# $(PODROLE_REGION)\r\nCN=x\n{certificates.ca.read_text()}# bag attributes\n")

    assert load_sts_ca(path).split() == certificates.ca.read_text().split()


@contextmanager
def injector(directory: Path, **changes: str) -> Iterator[subprocess.Popen[str]]:
    """Run the webhook as a process with certificate files, without a cluster."""
    directory.mkdir()
    files = write_certificates(directory, ["127.0.0.1"])
    settings = {
        "PODROLE_MANIFESTS": str(ROOT / "testing/manifests"),
        "PODROLE_TLS_CERT": str(files.certificate),
        "PODROLE_TLS_KEY": str(files.key),
        "PODROLE_WEBHOOK_HOST": "127.0.0.1",
        "PODROLE_WEBHOOK_PORT": "0",
        "PODROLE_HEALTH_PORT": "0",
    }
    environ: dict[str, Any] = ENVIRON | settings | changes
    command = [sys.executable, "-m", "injector"]
    with subprocess.Popen(command, env=environ, cwd=ROOT, stderr=subprocess.PIPE, text=True) as one:
        try:
            yield one
        finally:
            one.send_signal(signal.SIGTERM)


def test_invalid_ca_file_stops_the_injector_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")

    with injector(tmp_path / "injector", PODROLE_STS_CA=str(tmp_path / "ca.pem")) as process:
        _, said = process.communicate(timeout=60)

    assert process.returncode == 2
    assert said == (
        f"podrole-injector: PODROLE_STS_CA: {tmp_path / 'ca.pem'} is not a PEM file of certificates "
        "(-----BEGIN CERTIFICATE-----)\n"
    )


def test_node_source_is_logged_as_unsafe_at_start(tmp_path: Path) -> None:
    assert "PODROLE_CREDENTIAL_SOURCE=node is unsafe" in read_start(
        tmp_path / "injector", PODROLE_CREDENTIAL_SOURCE="node"
    )


def test_web_identity_is_not_logged_as_unsafe_at_start(tmp_path: Path) -> None:
    assert "unsafe" not in read_start(tmp_path / "injector")


def read_start(directory: Path, **changes: str) -> str:
    """The log until the webhook listens."""
    log = ""
    with injector(directory, **changes) as process:
        assert process.stderr
        while "Listening" not in log:
            line = process.stderr.readline()
            assert line, log
            log += line
    return log
