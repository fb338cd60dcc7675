"""Injection into pods of many shapes: order of containers, fields that stay unchanged, fields that are set."""

from typing import Any

import pytest

import contract
from injector.decision.outcomes import Inject
from testing.cases import Case, all_containers, build_case, find_container, load_case

OURS = ["podrole-redirect", "podrole-sidecar"]
LIMITS = {"cpu": "1", "memory": "1Gi"}


def init_names(pod: dict[str, Any]) -> list[str]:
    return [container["name"] for container in pod["spec"]["initContainers"]]


def owned_by(kind: str) -> Case:
    """A pod as a controller of that kind creates it, with generateName instead of a name."""
    case = build_case()
    del case.pod["metadata"]["name"]
    owner = {"kind": kind, "name": "web", "controller": True}
    case.pod["metadata"] |= {"generateName": "web-", "ownerReferences": [owner]}
    return case


@pytest.mark.parametrize(
    "kind", ["ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController", "DeploymentConfig", "Rollout"]
)
def test_pod_of_any_controller_is_injected(kind: str) -> None:
    pod = owned_by(kind).inject()

    assert init_names(pod) == OURS
    assert "name" not in pod["metadata"]


def test_sidecar_is_native_and_delays_the_app_by_a_post_start_hook() -> None:
    pod = build_case(restartPolicy="Never").inject()

    sidecar = find_container(pod, contract.SIDECAR_CONTAINER)
    assert sidecar["restartPolicy"] == "Always"
    assert list(sidecar["lifecycle"]) == ["postStart"]
    assert list(sidecar["lifecycle"]["postStart"]) == ["exec"]
    assert not [key for key in sidecar if key.endswith("Probe")]
    assert pod["spec"]["restartPolicy"] == "Never"
    assert [container["name"] for container in pod["spec"]["containers"]] == ["app"]


def test_init_containers_and_sidecars_of_the_pod_follow_ours_in_order() -> None:
    own_sidecar = {"name": "proxy", "restartPolicy": "Always"}
    init = [{"name": "first"}, own_sidecar, {"name": "last"}]
    containers = [{"name": "app"}, {"name": "helper"}]

    pod = build_case(initContainers=init, containers=containers, imagePullSecrets=[{"name": "registry"}]).inject()

    assert init_names(pod) == [*OURS, "first", "proxy", "last"]
    assert [container["name"] for container in pod["spec"]["containers"]] == ["app", "helper"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_volumes_ports_probes_and_dns_of_the_pod_are_unchanged() -> None:
    app = {
        "name": "app",
        "ports": [{"name": "http", "containerPort": 16925}],
        "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    spec = {
        "containers": [app],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["192.0.2.1"]},
        "hostAliases": [{"ip": "192.0.2.2", "hostnames": ["a.example"]}],
    }

    pod = build_case(**spec).inject()

    after = find_container(pod, "app")
    assert {key: after[key] for key in app} == app
    assert pod["spec"]["volumes"][0] == {"name": "data", "emptyDir": {}}
    for key in ("dnsPolicy", "dnsConfig", "hostAliases"):
        assert pod["spec"][key] == spec[key]


@pytest.mark.parametrize(
    "context",
    [
        {"runAsUser": 0, "runAsGroup": 0},
        {"runAsNonRoot": True},
        {"runAsUser": 1000, "fsGroup": 2000},
        {"seccompProfile": {"type": "Localhost", "localhostProfile": "app.json"}},
        {"seLinuxOptions": {"level": "s0:c1"}},
    ],
    ids=["root", "non-root", "other-user", "seccomp-profile", "selinux-level"],
)
def test_injected_containers_set_their_own_user_in_any_security_context(context: dict[str, Any]) -> None:
    pod = build_case(securityContext=context, hostUsers=False).inject()

    redirect, sidecar = pod["spec"]["initContainers"]
    for container, user in ((redirect, contract.REDIRECT_UID), (sidecar, contract.SIDECAR_UID)):
        security = container["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"], security["runAsNonRoot"]) == (user, user, True)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["spec"]["securityContext"] == context


@pytest.mark.parametrize(
    "resources",
    [{}, {"limits": {"memory": "1Gi"}}, {"requests": LIMITS}, {"limits": LIMITS}],
    ids=["none", "memory-limit", "requests", "limits"],
)
def test_injected_containers_have_requests_and_a_memory_limit(resources: dict[str, Any]) -> None:
    pod = build_case(containers=[{"name": "app", "resources": resources}]).inject()

    for container in pod["spec"]["initContainers"]:
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
    assert find_container(pod, "app")["resources"] == resources


@pytest.mark.parametrize(
    "resources", [{"limits": LIMITS}, {"limits": LIMITS, "requests": LIMITS}], ids=["limits", "limits-and-requests"]
)
def test_guaranteed_pod_gets_containers_with_equal_requests_and_limits(resources: dict[str, Any]) -> None:
    pod = build_case(containers=[{"name": "app", "resources": resources}]).inject()

    for container in pod["spec"]["initContainers"]:
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_injected_containers_fit_into_pod_level_resources() -> None:
    case = load_case("pod-level-resources")

    pod = case.inject()

    assert [container["resources"]["limits"] for container in pod["spec"]["initContainers"]] == [
        {"memory": "32Mi"},
        {"memory": "96Mi"},
    ]
    assert pod["spec"]["resources"] == case.pod["spec"]["resources"]
    again, _ = case.with_pod(pod).build_patch()
    assert again.patch == []


def test_injected_containers_share_pod_level_resources_that_are_too_small_for_them() -> None:
    small = {"cpu": "10m", "memory": "16Mi"}
    case = build_case(resources={"requests": small, "limits": small})

    pod = case.inject()

    assert [container["resources"] for container in pod["spec"]["initContainers"]] == [{}, {}]
    again, _ = case.with_pod(pod).build_patch()
    assert again.patch == []


def test_only_pod_with_host_ipc_gets_a_memory_volume() -> None:
    plain, shared = build_case().inject(), build_case(hostIPC=True).inject()

    assert [volume["name"] for volume in plain["spec"]["volumes"]] == ["podrole-token"]
    assert shared["spec"]["volumes"][1]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Mi"}


def test_pod_without_api_token_gets_only_podrole_token() -> None:
    pod = build_case(automountServiceAccountToken=False).inject()

    [volume] = pod["spec"]["volumes"]
    assert volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] == contract.TOKEN_AUDIENCE
    assert pod["spec"]["automountServiceAccountToken"] is False
    mounting = [c["name"] for c in all_containers(pod) if c.get("volumeMounts")]
    assert mounting == OURS


def test_second_injection_covers_containers_that_a_mesh_added() -> None:
    case = build_case()
    pod = case.inject()
    mesh = {"name": "mesh-proxy", "image": "mesh"}
    pod["spec"]["initContainers"].insert(0, {"name": "mesh-init", "image": "mesh"})
    pod["spec"]["containers"].append(mesh)

    again = case.with_pod(pod).inject()

    assert init_names(again) == [*OURS, "mesh-init"]
    names = {variable["name"] for variable in find_container(again, "mesh-proxy")["env"]}
    assert "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in names


def test_pod_with_missing_service_account_is_injected_by_its_annotation() -> None:
    decision = build_case(serviceAccountName="new").decide()

    assert isinstance(decision, Inject)
