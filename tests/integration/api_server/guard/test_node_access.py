"""Where the sidecar can reach the node's metadata service, no other container can become its user."""

import copy
from typing import Any

import pytest

from testing.cases import Pod
from testing.cluster.api import STRATEGIC_MERGE, ApiServer, RefusedError
from testing.cluster.pods import set_redirect_state
from tests.integration.api_server.guard.cases import CASES, config_of
from tests.integration.api_server.guard.policies import NODE, UNSAFE
from tests.integration.api_server.guard.surroundings import MakeNamespace

DENIED = r"denied request: \[NodeAccess\] "
NO_ESCALATION = {"allowPrivilegeEscalation": False}
LIMITED = {"runAsUser": 1000, **NO_ESCALATION}

UNLIMITED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "user-of-the-image": NO_ESCALATION,
    "escalation": {"runAsUser": 1000},
    "root": {"runAsUser": 0, **NO_ESCALATION},
    "root-that-drops-another-capability": {"runAsUser": 0, **NO_ESCALATION, "capabilities": {"drop": ["NET_RAW"]}},
    "root-that-drops-setuid-as-containerd-does-not-read-it": {
        "runAsUser": 0,
        **NO_ESCALATION,
        "capabilities": {"drop": ["CAP_SETUID"]},
    },
    "added-ptrace": {**LIMITED, "capabilities": {"add": ["SYS_PTRACE"]}},
    "added-setuid-in-lower-case": {**LIMITED, "capabilities": {"add": ["cap_setuid"]}},
}
SAFE: dict[str, dict[str, Any]] = {
    "another-user": LIMITED,
    "root-without-setuid": {"runAsUser": 0, **NO_ESCALATION, "capabilities": {"drop": ["setuid"]}},
    "root-without-capabilities": {"runAsUser": 0, **NO_ESCALATION, "capabilities": {"drop": ["ALL"]}},
}


def build(namespace: str, security: dict[str, Any]) -> Pod:
    """A pod as the injector would change it, if it allowed the container."""
    pod = copy.deepcopy(CASES["role-allowed"].inject(config_of(UNSAFE)))
    pod["metadata"] |= {"name": "app", "namespace": namespace}
    pod["spec"]["containers"][0]["securityContext"] = security
    return pod


@pytest.mark.parametrize("security", UNLIMITED.values(), ids=UNLIMITED)
def test_pod_whose_container_could_become_the_sidecars_user_is_refused(
    guarded: ApiServer, make_namespace: MakeNamespace, security: dict[str, Any]
) -> None:
    namespace = make_namespace(NODE)

    with pytest.raises(RefusedError, match=f"podrole-pods.* {DENIED}"):
        guarded.create(build(namespace, security), namespace)


@pytest.mark.parametrize("security", SAFE.values(), ids=SAFE)
def test_pod_whose_container_cannot_become_it_passes(
    guarded: ApiServer, make_namespace: MakeNamespace, security: dict[str, Any]
) -> None:
    namespace = make_namespace(NODE)

    assert guarded.create(build(namespace, security), namespace).object["spec"]["initContainers"]


def test_user_of_the_pod_counts_where_a_container_has_none(guarded: ApiServer, make_namespace: MakeNamespace) -> None:
    namespace = make_namespace(NODE)
    pod = build(namespace, NO_ESCALATION)
    pod["spec"]["securityContext"] = {"runAsUser": 1000}

    assert guarded.create(pod, namespace).object["spec"]["initContainers"]


def add(api: ApiServer, namespace: str, security: dict[str, Any]) -> Pod:
    container = {"name": "tools", "image": "example/tools:1", "securityContext": security}
    change = {"spec": {"ephemeralContainers": [container]}}
    added: Pod = api.patch(("Pod", "app/ephemeralcontainers"), change, namespace, how=STRATEGIC_MERGE).object
    return added


@pytest.fixture
def debugged(guarded: ApiServer, make_namespace: MakeNamespace) -> str:
    """The namespace of a running pod whose sidecar can reach the node's metadata service."""
    namespace = make_namespace(NODE)
    guarded.create(build(namespace, LIMITED), namespace)
    set_redirect_state(guarded, namespace)
    return namespace


@pytest.mark.parametrize("security", UNLIMITED.values(), ids=UNLIMITED)
def test_ephemeral_container_that_could_become_it_is_refused(
    guarded: ApiServer, debugged: str, security: dict[str, Any]
) -> None:
    with pytest.raises(RefusedError, match=f"podrole-ephemeral-containers.* {DENIED}"):
        add(guarded, debugged, security)


@pytest.mark.parametrize("security", SAFE.values(), ids=SAFE)
def test_ephemeral_container_that_cannot_become_it_passes(
    guarded: ApiServer, debugged: str, security: dict[str, Any]
) -> None:
    assert add(guarded, debugged, security)["spec"]["ephemeralContainers"]
