"""The options of `podrole inject`: one for each setting of the webhook that can change a pod."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.settings import list_settings
from injector.config import Config
from injector.decision.outcomes import Block, Inject
from injector.k8s.objects import Metadata
from injector.patch.plan import plan_injection
from injector.patch.template import SHIPPED
from podrole.options import load_effective_config
from testing.cases import ENABLED, ENVIRON, build_case, load_case
from testing.services.certificates import write_certificates
from tests.unit.podrole.conftest import Run

CASES = [
    *map(
        load_case,
        ("role-on-the-pod", "no-role", "asks-for-env-mode", "role-allowed", "session-settings", "sidecar-resources"),
    ),
    load_case("asks-for-passthrough"),
    replace(load_case("role-on-the-pod"), version=(1, 30)),
    build_case(runtimeClassName="gvisor"),
    build_case(initContainers=[{"name": "podrole-redirect", "image": "mirror/podrole-sidecar:1"}]),
    replace(build_case(), namespace=Metadata(ENABLED.labels, {"iam.amazonaws.com/allowed-roles": '["read*"]'})),
]
CHANGES = {
    "PODROLE_SIDECAR_IMAGE": "example/other:2",
    "PODROLE_REGION": "eu-central-1",
    "PODROLE_IMAGE_PULL_SECRETS": "registry",
    "PODROLE_IMAGE_REWRITES": "example/=mirror/",
    "PODROLE_ACCOUNT_ID": "444455556666",
    "PODROLE_BASE_ROLE_ARN": "arn:aws:iam::111122223333:role/team/",
    "PODROLE_MODE": "env",
    "PODROLE_ENV_RUNTIME_CLASSES": "gvisor",
    "PODROLE_REDIRECT_BACKEND": "iptables",
    "PODROLE_PODS_WITHOUT_ROLE": "ignore",
    "PODROLE_ALLOW_OVERRIDES": "mode",
    "PODROLE_METADATA_PASSTHROUGH_PATHS": "meta-data/spot/instance-action",
    "PODROLE_ALLOWED_ROLES_FORMAT": "regexp",
    "PODROLE_CREDENTIAL_SOURCE": "node",
    "PODROLE_AUDIENCE": "amazonaws.com",
    "PODROLE_STS_ENDPOINT": "https://sts.example.com",
    "PODROLE_STS_CA": "ca.pem",
    "PODROLE_STS_PROXY": "http://proxy.example.com:3128",
    "PODROLE_USE_FIPS": "true",
    "PODROLE_USE_DUALSTACK": "true",
    "PODROLE_AWS_ENDPOINT_URL": "https://store.example.com",
    "PODROLE_NATIVE_SIDECARS_CONFIRMED": "true",
    "PODROLE_IPV6_ONLY": "true",
    "PODROLE_SIDECAR_METRICS": "true",
    "PODROLE_SIDECAR_RESOURCES_RANGE": "cpu=1m..1m,memory=32Mi..32Mi",
    "PODROLE_REQUIRE_CLOSED_METADATA": "true",
    "PODROLE_NODE_ACCESS_REQUIRES_USERS": "false",
    "PODROLE_TEMPLATE": "template.yaml",
}
OTHERS = {
    "PODROLE_NODE_ACCESS_REQUIRES_USERS": {"PODROLE_CREDENTIAL_SOURCE": "node"},
    "PODROLE_METADATA_PASSTHROUGH_PATHS": {
        "PODROLE_ALLOW_OVERRIDES": "metadata-passthrough",
        "PODROLE_NODE_ACCESS_REQUIRES_USERS": "false",
    },
}
"""Settings without which a change has no effect."""


def find_outcomes(options: dict[str, str]) -> list[Any]:
    """What becomes of each case, with the configuration that these options give."""
    effective = load_effective_config(options)
    outcomes: list[Any] = []
    for case in CASES:
        decision = case.decide(effective.config)
        if isinstance(decision, Inject | Block):
            outcomes.append(plan_injection(decision, case.pod, effective.template, effective.config))
        else:
            outcomes.append(decision)
    return outcomes


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_certificates(tmp_path, ["sts.example.com"]).ca.rename(tmp_path / "ca.pem")
    (tmp_path / "template.yaml").write_text(SHIPPED.read_text().replace("cpu: 20m", "cpu: 30m"))


def test_every_setting_for_pods_has_a_change_below() -> None:
    assert CHANGES.keys() == {one.variable for one in list_settings(Config).values() if one.is_for_pods}


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("variable", CHANGES)
def test_option_changes_what_pods_get(variable: str) -> None:
    given = ENVIRON | OTHERS.get(variable, {})
    unchanged = find_outcomes(given)
    if variable == "PODROLE_BASE_ROLE_ARN":
        del given["PODROLE_ACCOUNT_ID"]

    assert find_outcomes({**given, variable: CHANGES[variable]}) != unchanged


def test_help_lists_every_setting_for_pods(run: Run) -> None:
    text = run("inject", "--help").stdout

    for variable in CHANGES:
        assert f"--{variable.removeprefix('PODROLE_').lower().replace('_', '-')} " in text
        assert variable in text


@pytest.mark.parametrize("name", ["", "a/b", "..", "Team_A", "a" * 64, "a\x1b[2J"])
@pytest.mark.parametrize(
    "command",
    [
        ("check", "-n"),
        ("inject", "-f", "-", "-n"),
        ("plan", "-n"),
        ("preflight", "--namespace"),
        ("preflight", "--probe", "--probe-namespace"),
        ("trust-policy", "--all", "-n"),
        ("uninject", "-f", "-", "-n"),
    ],
    ids=" ".join,
)
def test_text_that_names_no_namespace_is_rejected(run: Run, command: tuple[str, ...], name: str) -> None:
    """An empty variable of a shell, for example, must not mean all namespaces."""
    result = run(*command, name)

    assert (result.code, result.stdout) == (2, "")
    assert "is not a valid name of a namespace: use a-z, 0-9" in result.stderr
