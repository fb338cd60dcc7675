"""Which pods may have a sidecar that reaches the node's metadata service."""

from typing import Any

import pytest

from contract.modes import CredentialSource
from injector.config import Config
from injector.decision.outcomes import Decision, Deny, Inject
from injector.k8s.objects import Metadata
from injector.reasons import Reason
from injector.value_types import ModePolicy, OverrideName
from testing.cases import CONFIG, ENABLED, UNANNOTATED, Case, build_case

NODE = CONFIG._replace(credential_source=CredentialSource.NODE)
PASSING = CONFIG._replace(allow_overrides=frozenset({OverrideName.METADATA_PASSTHROUGH}))
ALLOWING = Metadata(ENABLED.labels, {"iam.amazonaws.com/allowed-roles": '["reader"]'})
LIMITED: dict[str, Any] = {"runAsUser": 1000, "allowPrivilegeEscalation": False}
ROOT = {**LIMITED, "runAsUser": 0}

UNLIMITED = {
    "nothing": ({}, "it has no runAsUser, so its image chooses the user"),
    "null-context": (None, "it does not set allowPrivilegeEscalation: false"),
    "no-user": ({"allowPrivilegeEscalation": False}, "it has no runAsUser"),
    "null-user": ({**LIMITED, "runAsUser": None}, "it has no runAsUser"),
    "non-root-without-user": ({"allowPrivilegeEscalation": False, "runAsNonRoot": True}, "it has no runAsUser"),
    "sidecars-user": ({**LIMITED, "runAsUser": 16925}, "that is its runAsUser"),
    "escalation": ({"runAsUser": 1000}, "it does not set allowPrivilegeEscalation: false"),
    "escalation-true": ({**LIMITED, "allowPrivilegeEscalation": True}, "it does not set allowPrivilegeEscalation"),
    "escalation-null": ({**LIMITED, "allowPrivilegeEscalation": None}, "it does not set allowPrivilegeEscalation"),
    "escalation-zero": ({**LIMITED, "allowPrivilegeEscalation": 0}, "it does not set allowPrivilegeEscalation"),
    "escalation-text": ({**LIMITED, "allowPrivilegeEscalation": "false"}, "it does not set allowPrivilegeEscalation"),
    "privileged": ({**LIMITED, "privileged": True}, "it is privileged"),
    "root": (ROOT, "it runs as root and does not drop ALL or SETUID"),
    "root-that-drops-another": (
        {**ROOT, "capabilities": {"drop": ["NET_RAW", "SETGID"]}},
        "does not drop ALL or SETUID",
    ),
    "root-that-drops-what-containerd-does-not-know": (
        {**ROOT, "capabilities": {"drop": ["CAP_SETUID", "CAP_ALL"]}},
        "not drop ALL or SETUID",
    ),
    "root-that-adds-it-again": ({**ROOT, "capabilities": {"drop": ["ALL"], "add": ["SETUID"]}}, "it adds SETUID"),
    "lower-case": ({**LIMITED, "capabilities": {"add": ["setuid"]}}, "it adds SETUID"),
    "prefix": ({**LIMITED, "capabilities": {"add": ["cap_Sys_Admin"]}}, "it adds SYS_ADMIN"),
    "all": ({**LIMITED, "capabilities": {"drop": ["ALL"], "add": ["all"]}}, "it adds ALL"),
    "tracing": ({**LIMITED, "capabilities": {"add": ["SYS_PTRACE"]}}, "it adds SYS_PTRACE"),
    "several": ({"privileged": True}, "image chooses the user, it is privileged, it does not set allow"),
}
SAFE = {
    "user": LIMITED,
    "root-without-capabilities": {**ROOT, "capabilities": {"drop": ["ALL"]}},
    "root-that-drops-in-lower-case": {**ROOT, "capabilities": {"drop": ["setuid"]}},
    "root-that-adds-a-harmless-one": {**ROOT, "capabilities": {"drop": ["all"], "add": ["NET_BIND_SERVICE", "CHOWN"]}},
    "user-with-capabilities": {**LIMITED, "capabilities": {"add": ["NET_BIND_SERVICE"]}},
}
FIELDS = ("containers", "initContainers")


def decide(config: Config, **spec: Any) -> Decision:
    case = build_case(**spec)
    if config.allow_overrides:
        case.pod["metadata"]["annotations"]["podrole.io/metadata-passthrough"] = "true"
    return Case(case.pod, ALLOWING, UNANNOTATED).decide(config)


def with_context(field: str, context: Any) -> dict[str, Any]:
    """A limited pod with one more container, which has this security context."""
    containers = [{"name": "app", "securityContext": LIMITED}]
    tested = [{"name": "tested", "securityContext": context}]
    return {"containers": containers + tested} if field == "containers" else {"containers": containers, field: tested}


@pytest.mark.parametrize("config", [NODE, PASSING], ids=["node", "pass-through"])
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("context", "problem"), UNLIMITED.values(), ids=list(UNLIMITED))
def test_container_that_could_become_the_sidecars_user_is_denied(
    context: Any, problem: str, field: str, config: Config
) -> None:
    decision = decide(config, **with_context(field, context))

    assert isinstance(decision, Deny)
    (found,) = [one for one in decision.explanations if one.reason is Reason.NODE_ACCESS]
    assert found.text.startswith('Container "tested" could become user 16925')
    assert problem in found.text


@pytest.mark.parametrize("config", [NODE, PASSING], ids=["node", "pass-through"])
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("context", SAFE.values(), ids=list(SAFE))
def test_container_that_cannot_become_the_sidecars_user_is_injected_without_a_warning(
    context: Any, field: str, config: Config
) -> None:
    decision = decide(config, **with_context(field, context))

    assert isinstance(decision, Inject)
    assert decision.warnings == ()


def test_user_of_the_pod_counts_where_a_container_has_none() -> None:
    containers = [{"name": "app", "securityContext": {"allowPrivilegeEscalation": False}}]

    assert isinstance(decide(NODE, containers=containers, securityContext={"runAsUser": 1000}), Inject)
    assert isinstance(decide(NODE, containers=containers, securityContext={"runAsUser": 0}), Deny)
    assert isinstance(decide(NODE, containers=containers, securityContext={"runAsUser": 16925}), Deny)


@pytest.mark.parametrize(
    ("config", "warning"),
    [(NODE, Reason.NODE_CREDENTIAL_SOURCE), (PASSING, Reason.METADATA_PASSTHROUGH)],
    ids=["node", "pass-through"],
)
def test_operator_who_accepts_the_risk_gets_a_warning_instead(config: Config, warning: Reason) -> None:
    decision = decide(config._replace(node_access_requires_users=False))

    assert isinstance(decision, Inject)
    assert [one.reason for one in decision.warnings] == [warning]


def test_env_mode_has_no_rules_that_could_be_bypassed() -> None:
    decision = decide(NODE._replace(mode=ModePolicy.ENV))

    assert isinstance(decision, Inject)
    assert [one.reason for one in decision.warnings] == [Reason.ENV_MODE, Reason.NODE_CREDENTIAL_SOURCE]


def test_web_identity_needs_no_limits() -> None:
    assert isinstance(decide(CONFIG), Inject)
