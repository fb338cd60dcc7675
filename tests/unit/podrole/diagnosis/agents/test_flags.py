"""What preflight says about each setting of kube2iam and Kiam."""

import shlex
from typing import Any

import pytest

from podrole.diagnosis.agents.check import check_agent_settings
from podrole.diagnosis.cluster.checks import build_check_context, diagnose_cluster
from podrole.findings import Finding
from tests.unit.podrole.diagnosis.agents.workloads import (
    BASE,
    build_config_map,
    build_kiam,
    build_kube2iam,
    build_workload,
)
from tests.unit.podrole.diagnosis.states import build_cluster_state

IGNORES = "AllowListsIgnored"
"""What is said about kube2iam without --namespace-restrictions."""


REQUIRES = "PermissionRequired"
"""What is said about Kiam's server."""


def find(*daemon_sets: dict[str, Any], **changes: Any) -> list[Finding]:
    cluster = build_cluster_state(daemon_sets=daemon_sets, **changes)
    return [*check_agent_settings(build_check_context(cluster, {}, 0))]


def codes(*daemon_sets: dict[str, Any], **changes: Any) -> list[str]:
    return [finding.code for finding in find(*daemon_sets, **changes)]


@pytest.mark.parametrize(
    ("flag", "code", "in_text", "in_remedy"),
    [
        pytest.param(f"base-role-arn={BASE}", "BaseRoleArn", BASE, "PODROLE_ACCOUNT_ID", id="base-role-arn"),
        pytest.param(
            "auto-discover-base-arn", "DiscoveredBaseRoleArn", "the node", "PODROLE_ACCOUNT_ID", id="discovered-base"
        ),
        pytest.param(
            "default-role=everyday", "DefaultRole", "everyday", "podrole.io/default-role=everyday", id="default-role"
        ),
        pytest.param(
            "auto-discover-default-role", "DiscoveredDefaultRole", "no pod gets it", "Give a role", id="node's-role"
        ),
        pytest.param(
            "namespace-restriction-format=regexp",
            "AllowListFormat",
            "match the whole ARN",
            "PODROLE_ALLOWED_ROLES_FORMAT=regexp",
            id="format",
        ),
        pytest.param("iam-role-key=aws/role", "Keys", "aws/role", "iam.amazonaws.com/role", id="role-key"),
        pytest.param("iam-external-id=x/id", "Keys", "x/id", "iam.amazonaws.com/external-id", id="external-id-key"),
        pytest.param("namespace-key=x/roles", "Keys", "x/roles", "iam.amazonaws.com/allowed-roles", id="namespace-key"),
        pytest.param("iam-role-session-ttl=30m", "SessionDuration", "30m", "1800 s", id="session-ttl"),
        pytest.param("use-regional-sts-endpoint", "Region", "regional", "PODROLE_REGION", id="regional-endpoint"),
    ],
)
def test_setting_of_kube2iam_is_explained(flag: str, code: str, in_text: str, in_remedy: str) -> None:
    finding, ignores = find(build_kube2iam(f"--{flag}"))

    assert (finding.code, ignores.code) == (code, IGNORES)
    assert finding.text.startswith("DaemonSet kube-system/kube2iam has --")
    assert in_text in finding.text
    assert in_remedy in finding.remedy


@pytest.mark.parametrize(
    ("part", "flag", "code"),
    [
        pytest.param("server", f"role-base-arn={BASE}", "BaseRoleArn", id="base"),
        pytest.param("server", "role-base-arn-autodetect", "DiscoveredBaseRoleArn", id="discovered-base"),
        pytest.param("server", "disable-strict-namespace-regexp", "NamespaceRegexpNotStrict", id="regexp-not-strict"),
        pytest.param("server", "assume-role-arn=arn:aws:iam::111122223333:role/kiam", "AssumedFirst", id="assume-role"),
        pytest.param("server", "session=prod", "SessionName", id="session-name"),
        pytest.param("server", "session-duration=1h", "SessionDuration", id="session-duration"),
        pytest.param("server", "session-refresh=5m", "SessionDuration", id="session-refresh"),
        pytest.param("server", "region=eu-west-1", "Region", id="region"),
        pytest.param("agent", "allow-route-regexp=meta-data", "MetadataPaths", id="routes"),
        pytest.param("agent", "whitelist-route-regexp=meta-data", "MetadataPaths", id="routes-of-version-3"),
    ],
)
def test_setting_of_kiam_is_explained(part: str, flag: str, code: str) -> None:
    for words in ([f"--{flag}"], f"--{flag}".split("=")):
        assert [one for one in codes(build_kiam(part, *words)) if one != REQUIRES] == [code]
    assert codes(build_kiam(part, *flag.split("="))) == []  # no flags


def test_server_of_kiam_that_is_a_deployment_is_read() -> None:
    finding, _ = find(build_kiam("agent"), agent_servers=[build_kiam("server", "--role-base-arn", BASE)])

    assert finding.text.startswith("Deployment kube-system/kiam-server has --role-base-arn=arn:aws:")


@pytest.mark.parametrize(
    "flag",
    [
        pytest.param("--iam-role-key=iam.amazonaws.com/role", id="role-key"),
        pytest.param("--namespace-restriction-format=glob", id="format"),
        pytest.param("--auto-discover-base-arn=false", id="switch-that-is-off"),
        pytest.param("--default-role=", id="empty"),
        pytest.param("--iptables=false", id="no-rule"),
        pytest.param("--host-interface=eni+", id="interface"),
        pytest.param("--host-ip=$(HOST_IP)", id="host-of-a-variable"),
        pytest.param("--node=$(NODE_NAME)", id="node-of-a-variable"),
        pytest.param("--app-port=8181", id="another-flag"),
    ],
)
def test_setting_that_changes_nothing_has_no_finding(flag: str) -> None:
    assert codes(build_kube2iam(flag)) == [IGNORES]


def test_restrictions_replace_the_note_that_allow_lists_have_no_effect_yet() -> None:
    assert codes(build_kube2iam("--namespace-restrictions")) == ["AllowListsRequired"]
    assert codes(build_kube2iam("--namespace-restrictions=false")) == [IGNORES]
    assert codes(build_kiam("agent")) == []


@pytest.mark.parametrize(
    ("agent", "requires"),
    [
        pytest.param(build_kiam("server", f"--role-base-arn={BASE}"), True, id="base"),
        pytest.param(build_kiam("server", "--role-base-arn=$(BASE)"), True, id="base-of-a-variable"),
        pytest.param(build_kiam("server", "--role-base-arn-autodetect"), True, id="discovered-base"),
        pytest.param(build_kiam("agent", "--iptables"), False, id="agent"),
        pytest.param(build_kube2iam("--namespace-restrictions"), False, id="kube2iam"),
    ],
)
def test_server_of_kiam_denies_what_podrole_admits(agent: dict[str, Any], *, requires: bool) -> None:
    assert (REQUIRES in codes(agent)) == requires


HOOK = {"preStop": {"exec": {"command": ["sh", "-c", "eval $(iptables-save | grep kube2iam | sed s/-A/-D/)"]}}}


@pytest.mark.parametrize(
    ("agent", "leaves"),
    [
        pytest.param(build_kube2iam("--iptables=true"), True, id="kube2iam"),
        pytest.param(build_kube2iam("--iptables", lifecycle=HOOK), False, id="kube2iam-with-a-hook"),
        pytest.param(build_kube2iam("--iptables", lifecycle=None), True, id="kube2iam-without-a-hook"),
        pytest.param(build_kube2iam(), False, id="kube2iam-without-a-rule"),
        pytest.param(build_kiam("agent", "--iptables"), False, id="kiam"),
        pytest.param(build_kiam("agent", "--iptables", "--no-iptables-remove"), True, id="kiam-that-keeps-it"),
        pytest.param(
            build_kiam("agent", "--iptables", "--iptables-remove=false"), True, id="kiam-with-the-value-false"
        ),
        pytest.param(build_kiam("agent", "--no-iptables-remove"), False, id="kiam-without-a-rule"),
    ],
)
def test_rule_that_outlives_the_agent_is_named(agent: dict[str, Any], *, leaves: bool) -> None:
    assert ("RuleOnNodes" in codes(agent)) == leaves


def test_value_from_a_config_map_is_read() -> None:
    reference = {"configMapKeyRef": {"name": "kiam-config", "key": "role-base-arn"}}
    server = build_kiam("server", "--role-base-arn=$(BASE)", env=[{"name": "BASE", "valueFrom": reference}])

    known, _ = find(server, agent_config_maps=[build_config_map("kiam-config", {"role-base-arn": BASE})])
    unknown, _ = find(server)

    assert (known.code, BASE in known.text) == ("BaseRoleArn", True)
    assert (unknown.code, unknown.level) == ("FlagValueUnknown", "unknown")


def test_config_map_of_another_namespace_is_not_read() -> None:
    source = [{"configMapRef": {"name": "settings"}}]
    other = {**build_config_map("settings", {"BASE": BASE}), "metadata": {"namespace": "evil", "name": "settings"}}

    found = codes(build_kiam("server", "--role-base-arn=$(BASE)", envFrom=source), agent_config_maps=[other])

    assert found == ["FlagValueUnknown", REQUIRES]


def test_container_beside_the_agent_is_not_read() -> None:
    agent = build_kube2iam("--default-role=everyday")
    containers = agent["spec"]["template"]["spec"]["containers"]
    containers.insert(0, {"name": "metrics", "image": "x:1", "args": ["--default-role=other"]})

    assert "everyday" in find(agent)[0].text


def test_other_daemon_sets_have_no_findings() -> None:
    assert codes(build_workload("logs", {"name": "logs", "image": "x:1", "args": ["--default-role=everyday"]})) == []
    assert codes({"metadata": {"name": "x"}}, {}) == []


def test_commands_quote_what_others_wrote() -> None:
    role = "x; rm -rf /"

    [finding, _] = find(build_kube2iam(f"--default-role={role}"))

    assert finding.remedy == f"kubectl annotate namespace NAME podrole.io/default-role={shlex.quote(role)}"


def test_many_agents_have_few_findings() -> None:
    agents = [build_kube2iam("--default-role=a", namespace=f"n{number}") for number in range(100)]

    sections = diagnose_cluster(build_cluster_state(daemon_sets=agents), {}, 0)

    found = [one for section in sections for one in section.findings if one.code == "DefaultRole"]
    assert len(found) == 11
