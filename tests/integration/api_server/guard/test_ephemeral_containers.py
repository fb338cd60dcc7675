"""Ephemeral containers get nothing with which they could reach the sidecar or remove the redirect."""

from typing import Any

import pytest

from testing.cluster.api import STRATEGIC_MERGE, ApiServer, RefusedError
from testing.cluster.manifests import Kubectl
from testing.cluster.pods import LOADED, build_pod, set_redirect_state
from tests.integration.api_server.guard.surroundings import MakeNamespace
from tests.integration.api_server.guard.test_updates import create

TOOLS = {"name": "tools", "image": "example/tools:1"}


@pytest.fixture
def namespace(make_namespace: MakeNamespace, guarded: ApiServer) -> str:
    """A namespace with an injected pod whose redirect is loaded."""
    namespace = make_namespace()
    create(guarded, namespace)
    set_redirect_state(guarded, namespace, LOADED)
    return namespace


def add(api: ApiServer, namespace: str, container: dict[str, Any]) -> dict[str, Any]:
    change = {"spec": {"ephemeralContainers": [{**TOOLS, **container}]}}
    return api.patch(("Pod", "app/ephemeralcontainers"), change, namespace, how=STRATEGIC_MERGE).object


def with_capability(name: str) -> dict[str, Any]:
    return {"securityContext": {"capabilities": {"add": ["CHOWN", name]}}}


CAPABILITIES = ["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_Net_Admin", "ALL", "all", "CAP_ALL", "SYS_ADMIN"]
CAPABILITIES += ["NET_RAW", "SYS_MODULE", "BPF", "DAC_READ_SEARCH", "SYS_RAWIO", "PERFMON", "UNKNOWN"]
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "token-mount": ("ReservedName", {"volumeMounts": [{"name": "podrole-token", "mountPath": "/mnt"}]}),
    "reserved-name": ("ReservedName", {"name": "podrole-debugger"}),
    "sidecar-user": ("ReservedUser", {"securityContext": {"runAsUser": 16925}}),
    "sidecar-group": ("ReservedUser", {"securityContext": {"runAsUser": 1, "runAsGroup": 16925}}),
    "sidecar-processes": ("SidecarTargeted", {"targetContainerName": "podrole-sidecar"}),
    "sidecar-processes-with-ptrace": (
        "SidecarTargeted",
        {**with_capability("SYS_PTRACE"), "targetContainerName": "podrole-sidecar"},
    ),
    "redirect-processes": ("SidecarTargeted", {"targetContainerName": "podrole-redirect"}),
    "privileged": ("PrivilegedContainer", {"securityContext": {"privileged": True}}),
    **{f"capability-{name}": ("PrivilegedContainer", with_capability(name)) for name in CAPABILITIES},
}


@pytest.mark.parametrize(("code", "container"), REFUSED.values(), ids=REFUSED)
def test_ephemeral_container_is_refused(
    guarded: ApiServer, namespace: str, code: str, container: dict[str, Any]
) -> None:
    with pytest.raises(RefusedError, match=rf"podrole-ephemeral-containers.* denied request: \[{code}\] "):
        add(guarded, namespace, container)


UNLOADED: dict[str, dict[str, Any] | None] = {
    "not-started": None,
    "waiting": {"waiting": {"reason": "CrashLoopBackOff"}},
    "running": {"running": {}},
    "failed": {"terminated": {"exitCode": 1}},
}


@pytest.mark.parametrize("state", UNLOADED.values(), ids=UNLOADED)
def test_ephemeral_container_is_refused_until_the_redirect_is_loaded(
    guarded: ApiServer, make_namespace: MakeNamespace, state: dict[str, Any] | None
) -> None:
    namespace = make_namespace()
    create(guarded, namespace)
    if state:
        set_redirect_state(guarded, namespace, state)

    with pytest.raises(RefusedError, match=r"\[RedirectNotLoaded\]"):
        add(guarded, namespace, {})

    set_redirect_state(guarded, namespace, LOADED)
    assert add(guarded, namespace, {})["spec"]["ephemeralContainers"]


ALLOWED: dict[str, dict[str, Any]] = {
    "nothing-special": {},
    "processes-of-the-app": {**with_capability("SYS_PTRACE"), "targetContainerName": "app"},
    "ptrace-as-kubectl-spells-it": with_capability("SYS_PTRACE"),
    "ptrace-in-lower-case-with-prefix": with_capability("cap_sys_ptrace"),
    "another-user": {"securityContext": {"runAsUser": 1000, "runAsGroup": 1000}},
    "dropped-capabilities": {"securityContext": {"capabilities": {"drop": ["ALL"]}}},
}


@pytest.mark.parametrize("container", ALLOWED.values(), ids=ALLOWED)
def test_ordinary_ephemeral_container_passes(guarded: ApiServer, namespace: str, container: dict[str, Any]) -> None:
    assert add(guarded, namespace, container)["spec"]["ephemeralContainers"][0]["name"] == "tools"


def test_second_ephemeral_container_is_checked_and_the_first_stays(guarded: ApiServer, namespace: str) -> None:
    add(guarded, namespace, {})

    with pytest.raises(RefusedError, match=r"\[ReservedUser\]"):
        add(guarded, namespace, {"name": "second", "securityContext": {"runAsUser": 16925}})
    added = add(guarded, namespace, {"name": "third"})

    assert sorted(c["name"] for c in added["spec"]["ephemeralContainers"]) == ["third", "tools"]


def test_existing_ephemeral_container_stays_in_a_namespace_that_gets_the_label_later(
    guarded: ApiServer, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace(labels={})
    create(guarded, namespace)
    set_redirect_state(guarded, namespace, LOADED)
    add(guarded, namespace, {"securityContext": {"privileged": True}})
    guarded.patch(("Namespace", namespace), {"metadata": {"labels": {"podrole.io/injection": "enabled"}}})

    assert add(guarded, namespace, {"name": "second"})["spec"]["ephemeralContainers"]


def test_pod_that_is_not_injected_can_have_any_ephemeral_container(
    guarded: ApiServer, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    guarded.create(build_pod({}, hostNetwork=True), namespace)

    assert add(guarded, namespace, {"securityContext": {"privileged": True}})["spec"]["ephemeralContainers"]


@pytest.mark.parametrize("profile", ["legacy", "general", "baseline", "restricted"])
@pytest.mark.parametrize("target", [[], ["--target=app"]], ids=["own-processes", "processes-of-the-app"])
def test_kubectl_debug_of_an_ordinary_kind_passes(
    kubectl: Kubectl, namespace: str, profile: str, target: list[str]
) -> None:
    kubectl.run("debug", f"--namespace={namespace}", "app", "--image=example/tools:1", f"--profile={profile}", *target)


@pytest.mark.parametrize("profile", ["netadmin", "sysadmin"])
def test_kubectl_debug_with_power_over_the_network_is_refused(kubectl: Kubectl, namespace: str, profile: str) -> None:
    answer = kubectl.try_run(
        "debug", f"--namespace={namespace}", "app", "--image=example/tools:1", f"--profile={profile}"
    )

    assert "[PrivilegedContainer]" in answer.errors
