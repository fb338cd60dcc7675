from typing import Any

import pytest

from injector.decision.outcomes import Block, Inject
from injector.reasons import Reason
from injector.value_types import ModePolicy
from testing.cases import CONFIG, Case, build_case

POWERFUL = {
    "net-admin": ({"capabilities": {"add": ["NET_ADMIN"]}}, {}, "adds NET_ADMIN"),
    "lower-case": ({"capabilities": {"add": ["net_admin"]}}, {}, "adds NET_ADMIN"),
    "mixed-case-with-prefix": ({"capabilities": {"add": ["Cap_Net_Admin"]}}, {}, "adds NET_ADMIN"),
    "long-s": ({"capabilities": {"add": ["\u017fys_admin"]}}, {}, "adds SYS_ADMIN"),
    "all": ({"capabilities": {"add": ["all"]}}, {}, "adds ALL"),
    "sys-admin": ({"capabilities": {"add": ["CAP_SYS_ADMIN"]}}, {}, "adds SYS_ADMIN"),
    "sys-module": ({"capabilities": {"add": ["SYS_MODULE"]}}, {}, "adds SYS_MODULE"),
    "privileged": ({"privileged": True}, {}, "is privileged"),
    "unmasked-proc": ({"procMount": "Unmasked"}, {}, "has an unmasked /proc"),
    "processes-of-the-node": ({}, {"hostPID": True}, "sees the node's processes"),
    "tracing-of-the-sidecar": (
        {"capabilities": {"add": ["sys_ptrace"]}},
        {"shareProcessNamespace": True},
        "adds SYS_PTRACE",
    ),
    "several": ({"privileged": True, "capabilities": {"add": ["all"]}}, {}, "is privileged and adds ALL"),
}
HARMLESS = {
    "default-capabilities": ({"capabilities": {"add": ["NET_RAW", "CHOWN", "SETUID", "SYS_CHROOT"]}}, {}),
    "tracing-of-own-processes": ({"capabilities": {"add": ["SYS_PTRACE"]}}, {}),
    "shared-processes": ({}, {"shareProcessNamespace": True}),
    "dropped": ({"capabilities": {"drop": ["all", "NET_ADMIN"]}}, {}),
    "default-proc": ({"procMount": "Default"}, {}),
    "root": ({"runAsUser": 0}, {}),
    "no-strings": ({"capabilities": {"add": [1, None, {}]}}, {}),
    "null": (None, {}),
}


def build(context: Any, spec: dict[str, Any]) -> Case:
    return build_case(containers=[{"name": "app", "securityContext": context}], **spec)


@pytest.mark.parametrize(("context", "spec", "power"), POWERFUL.values(), ids=list(POWERFUL))
def test_container_that_can_bypass_the_redirect_causes_a_warning(context: Any, spec: Any, power: str) -> None:
    decision = build(context, spec).decide()

    assert isinstance(decision, Inject)
    (warning,) = decision.warnings
    assert warning.reason is Reason.PRIVILEGED_CONTAINER
    assert f'Container "app" {power}' in warning.text


@pytest.mark.parametrize(("context", "spec"), HARMLESS.values(), ids=list(HARMLESS))
def test_container_that_cannot_bypass_the_redirect_causes_no_warning(context: Any, spec: Any) -> None:
    decision = build(context, spec).decide()

    assert isinstance(decision, Inject)
    assert decision.warnings == ()


def test_blocked_pod_has_the_warning_too() -> None:
    case = build({"capabilities": {"add": ["net_admin"]}}, {})
    case.pod["metadata"]["annotations"] = {}

    decision = case.decide()

    assert isinstance(decision, Block)
    assert [warning.reason for warning in decision.warnings] == [Reason.NO_ROLE, Reason.PRIVILEGED_CONTAINER]


def test_env_mode_has_no_redirect_that_could_be_bypassed() -> None:
    decision = build({"privileged": True}, {}).decide(CONFIG._replace(mode=ModePolicy.ENV))

    assert isinstance(decision, Inject)
    assert [warning.reason for warning in decision.warnings] == [Reason.ENV_MODE]
