"""What preflight prints about the settings that differ from their defaults."""

from typing import Any

import pytest

from podrole.diagnosis.cluster.checks import diagnose_cluster
from podrole.diagnosis.installation.settings_in_force import OWN_ENVIRONMENT, SettingInForce, list_settings_in_force
from podrole.diagnosis.state.installed_config import DeployedEnv
from podrole.findings import Finding
from testing.hostile_text import find_unprintable
from tests.unit.podrole.diagnosis.states import NOW, SAFE, build_cluster_state, build_deployment, list_findings

CONFIG_MAP = "ConfigMap podrole-settings"


def deploy(**environ: str) -> DeployedEnv:
    return DeployedEnv(environ, dict.fromkeys(environ, CONFIG_MAP))


def diagnose(own: dict[str, str], **changes: Any) -> list[Finding]:
    sections = diagnose_cluster(build_cluster_state(**changes), own, NOW)
    return [one for one in list_findings(sections) if one.code.endswith("SettingInForce") or one.code == "ReadFailed"]


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"PODROLE_MODE": "", "PODROLE_STS_ENDPOINT": ""}, id="empty"),
        pytest.param({"PODROLE_MODE": "auto", "PODROLE_WEBHOOK_PORT": "9443"}, id="defaults"),
        pytest.param({"PODROLE_WEBHOOK_PORT": "tcp://10.96.0.10:443"}, id="link-to-a-service"),
        pytest.param({"PODROLE_MOODE": "env", "KUBERNETES_PORT": "x"}, id="no-settings"),
    ],
)
def test_default_is_not_listed(environ: dict[str, str]) -> None:
    assert list_settings_in_force(deploy(**environ), {}) == []
    assert list_settings_in_force(None, environ) == []


def test_setting_is_listed_with_its_source_in_the_order_of_the_documentation() -> None:
    deployed = DeployedEnv(
        {"PODROLE_MODE": "env", "PODROLE_REGION": "eu-west-1"},
        {"PODROLE_MODE": CONFIG_MAP, "PODROLE_REGION": "the Deployment"},
    )

    assert list_settings_in_force(deployed, {}) == [
        SettingInForce("PODROLE_REGION", "eu-west-1", "the Deployment"),
        SettingInForce("PODROLE_MODE", "env", CONFIG_MAP),
    ]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param("redirect", SettingInForce("PODROLE_MODE", "redirect", OWN_ENVIRONMENT, "env"), id="other-value"),
        pytest.param("auto", SettingInForce("PODROLE_MODE", "auto", OWN_ENVIRONMENT, "env"), id="default"),
        pytest.param("", SettingInForce("PODROLE_MODE", "", OWN_ENVIRONMENT, "env"), id="empty"),
        pytest.param("env", SettingInForce("PODROLE_MODE", "env", CONFIG_MAP), id="same-value"),
    ],
)
def test_own_environment_takes_precedence_and_the_webhooks_value_is_named(own: str, expected: SettingInForce) -> None:
    assert list_settings_in_force(deploy(PODROLE_MODE="env"), {"PODROLE_MODE": own}) == [expected]


def test_own_setting_that_the_webhook_does_not_set_replaces_its_default() -> None:
    region = {"PODROLE_REGION": "eu-west-1"}

    assert list_settings_in_force(deploy(**region), region | {"PODROLE_MODE": "env"})[1] == SettingInForce(
        "PODROLE_MODE", "env", OWN_ENVIRONMENT, ""
    )


def test_own_setting_counts_alone_where_podrole_is_not_installed() -> None:
    own = {"PODROLE_REGION": "eu-west-1"}

    assert list_settings_in_force(None, own) == [SettingInForce("PODROLE_REGION", "eu-west-1", OWN_ENVIRONMENT)]


@pytest.mark.parametrize("variable", ["PODROLE_STS_PROXY", "PODROLE_STS_ENDPOINT", "PODROLE_AWS_ENDPOINT_URL"])
@pytest.mark.parametrize("url", ["http://me:w0rd@host:1", "me:w0rd@host", "http://a/b:w0rd@host", "http://host/?w0rd"])
def test_password_in_a_url_is_hidden(variable: str, url: str) -> None:
    listed = [
        *list_settings_in_force(deploy(**{variable: url}), {}),
        *list_settings_in_force(deploy(**{variable: url}), {variable: "http://other"}),
    ]

    assert [one.variable for one in listed] == [variable] * 2
    assert "w0rd" not in str(listed)


def test_huge_hostile_values_are_cut_and_printable() -> None:
    hostile = "\x1b[31m\u202e" + "x" * 1_000_000
    deployment = build_deployment(SAFE | {"PODROLE_NAMESPACE": hostile})
    deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": hostile}}]
    config_map = {"metadata": {"name": hostile}, "data": {"PODROLE_SERVICE": hostile}}

    findings = diagnose({}, deployment=deployment, config_maps=[config_map])

    texts = [one.text for one in findings]
    assert len([text for text in texts if "PODROLE_SERVICE is" in text or "PODROLE_NAMESPACE is" in text]) == 2
    assert find_unprintable("".join(texts)) == ""
    assert max(map(len, texts)) < 5000


def test_preflight_has_a_note_for_each_setting_in_force() -> None:
    findings = diagnose({"PODROLE_REGION": "eu-west-2"}, deployment=build_deployment(SAFE))

    assert [(one.level, one.text) for one in findings] == [
        ("note", f"PODROLE_SIDECAR_IMAGE is {SAFE['PODROLE_SIDECAR_IMAGE']} (the Deployment)."),
        ("note", "PODROLE_REGION is eu-west-2 for this command (your environment). In the webhook it is eu-west-1."),
        ("note", "PODROLE_ACCOUNT_ID is 111122223333 (the Deployment)."),
    ]


def test_settings_that_cannot_be_read_are_unknown() -> None:
    findings = diagnose({}, errors={"config_maps": "403"})

    assert "Cannot determine which settings are in force: 403." in [one.text for one in findings]
