"""Pods of every shape that injectors meet: what ours comes to stand beside, and what it must leave as it is."""

from typing import Any

import pytest

import contract
from injector.decision.outcomes import Inject
from tests.unit.injector.cases import Case, all_containers, build_case, find_container, load_case

OURS = ["podrole-redirect", "podrole-sidecar"]
LIMITS = {"cpu": "1", "memory": "1Gi"}


def init_names(pod: dict[str, Any]) -> list[str]:
    return [container["name"] for container in pod["spec"]["initContainers"]]


def owned_by(kind: str) -> Case:
    """A pod as a controller of that kind creates it: without a name of its own."""
    case = build_case()
    del case.pod["metadata"]["name"]
    owner = {"kind": kind, "name": "web", "controller": True}
    case.pod["metadata"] |= {"generateName": "web-", "ownerReferences": [owner]}
    return case


@pytest.mark.parametrize(
    "kind", ["ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController", "DeploymentConfig", "Rollout"]
)
def test_a_pod_is_injected_whoever_owns_it(kind: str) -> None:
    pod = owned_by(kind).inject()

    assert init_names(pod) == OURS
    assert "name" not in pod["metadata"]


def test_the_sidecar_is_a_native_one_with_a_hook_that_holds_the_app_back() -> None:
    pod = build_case(restartPolicy="Never").inject()

    sidecar = find_container(pod, contract.SIDECAR_CONTAINER)
    assert sidecar["restartPolicy"] == "Always"
    assert list(sidecar["lifecycle"]) == ["postStart"]
    assert list(sidecar["lifecycle"]["postStart"]) == ["exec"]
    assert not [key for key in sidecar if key.endswith("Probe")]
    assert pod["spec"]["restartPolicy"] == "Never"
    assert [container["name"] for container in pod["spec"]["containers"]] == ["app"]


def test_init_containers_and_sidecars_of_the_pod_follow_ours_in_their_order() -> None:
    own_sidecar = {"name": "proxy", "restartPolicy": "Always"}
    init = [{"name": "first"}, own_sidecar, {"name": "last"}]
    containers = [{"name": "app"}, {"name": "helper"}]

    pod = build_case(initContainers=init, containers=containers, imagePullSecrets=[{"name": "registry"}]).inject()

    assert init_names(pod) == [*OURS, "first", "proxy", "last"]
    assert [container["name"] for container in pod["spec"]["containers"]] == ["app", "helper"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_volumes_ports_probes_and_dns_of_the_pod_stay_as_they_are() -> None:
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
    ids="-".join,
)
def test_ours_name_their_own_user_whatever_the_pods_context_says(context: dict[str, Any]) -> None:
    pod = build_case(securityContext=context, hostUsers=False).inject()

    redirect, sidecar = pod["spec"]["initContainers"]
    for container, user in ((redirect, contract.REDIRECT_UID), (sidecar, contract.SIDECAR_UID)):
        security = container["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"], security["runAsNonRoot"]) == (user, user, True)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["spec"]["securityContext"] == context


@pytest.mark.parametrize("resources", [{}, {"limits": {"memory": "1Gi"}}, {"requests": LIMITS}, {"limits": LIMITS}])
def test_ours_always_say_what_they_need(resources: dict[str, Any]) -> None:
    pod = build_case(containers=[{"name": "app", "resources": resources}]).inject()

    for container in pod["spec"]["initContainers"]:
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
    assert find_container(pod, "app")["resources"] == resources


@pytest.mark.parametrize("resources", [{"limits": LIMITS}, {"limits": LIMITS, "requests": LIMITS}])
def test_a_guaranteed_pod_has_only_requests_that_are_limits(resources: dict[str, Any]) -> None:
    pod = build_case(containers=[{"name": "app", "resources": resources}]).inject()

    for container in pod["spec"]["initContainers"]:
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_resources_of_the_pod_as_a_whole_are_shared_by_ours() -> None:
    case = load_case("pod-level-resources")

    pod = case.inject()

    assert all("resources" not in container for container in pod["spec"]["initContainers"])
    assert pod["spec"]["resources"] == case.pod["spec"]["resources"]
    again, _ = case.with_pod(pod).build_patch()
    assert again.patch == []


def test_only_a_pod_with_host_ipc_gets_a_volume_of_memory() -> None:
    plain, shared = build_case().inject(), build_case(hostIPC=True).inject()

    assert [volume["name"] for volume in plain["spec"]["volumes"]] == ["podrole-token"]
    assert shared["spec"]["volumes"][1]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Mi"}


def test_a_pod_without_an_api_token_has_ours_all_the_same() -> None:
    pod = build_case(automountServiceAccountToken=False).inject()

    [volume] = pod["spec"]["volumes"]
    assert volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] == contract.TOKEN_AUDIENCE
    assert pod["spec"]["automountServiceAccountToken"] is False
    mounting = [c["name"] for c in all_containers(pod) if c.get("volumeMounts")]
    assert mounting == OURS


def test_a_container_that_a_mesh_added_gets_the_environment_and_ours_go_to_the_front_again() -> None:
    case = build_case()
    pod = case.inject()
    mesh = {"name": "mesh-proxy", "image": "mesh"}
    pod["spec"]["initContainers"].insert(0, {"name": "mesh-init", "image": "mesh"})
    pod["spec"]["containers"].append(mesh)

    again = case.with_pod(pod).inject()

    assert init_names(again) == [*OURS, "mesh-init"]
    names = {variable["name"] for variable in find_container(again, "mesh-proxy")["env"]}
    assert "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in names


def test_a_pod_of_an_account_that_is_not_there_yet_is_injected_by_its_own_annotation() -> None:
    decision = build_case(serviceAccountName="new").decide()

    assert isinstance(decision, Inject)
