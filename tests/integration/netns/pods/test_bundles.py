from typing import Any

import pytest

from testing.pods import Image, PodError, describe_limitations
from testing.pods.bundles import Sandbox, build_config
from testing.pods.security import DEFAULT_CAPABILITIES

IMAGE = Image(binds={"/usr": "/usr", "/usr/sbin/nft": "/run/nft"}, entrypoint=("serve",), working_directory="/app")
REDIRECT = {
    "runAsUser": 16926,
    "runAsGroup": 16926,
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
}


def build(container: dict[str, Any], *, single_user: bool = False, **spec: Any) -> dict[str, Any]:
    pod = {"metadata": {"name": "web-0", "namespace": "team-a"}, "spec": spec, "status": {"podIP": "10.77.0.2"}}
    sandbox = Sandbox(pod, "/run/netns/web-0", "/run/pods/web-0/shm", {"data": "/volumes/data"}, single_user)
    return build_config({"name": "app", **container}, IMAGE, sandbox)


def find_mounts(config: dict[str, Any], destination: str) -> list[dict[str, Any]]:
    return [mount for mount in config["mounts"] if mount["destination"] == destination]


def test_mount_of_unknown_volume_is_rejected() -> None:
    with pytest.raises(PodError, match="container app: volumeMounts names absent"):
        build({"volumeMounts": [{"name": "absent", "mountPath": "/data"}]})


def test_sub_path_expr_is_rejected() -> None:
    with pytest.raises(PodError, match="container app: volumeMounts data: subPathExpr"):
        build({"volumeMounts": [{"name": "data", "mountPath": "/data", "subPathExpr": "$(POD)"}]})


def test_run_as_non_root_rejects_uid_0() -> None:
    with pytest.raises(PodError, match="container app: runAsNonRoot is true, but it would run as uid 0"):
        build({"securityContext": {"runAsNonRoot": True}})


def test_container_without_security_context_gets_containerd_defaults() -> None:
    config = build({})

    assert config["process"]["user"] == {"uid": 0, "gid": 0, "additionalGids": []}
    assert set(config["process"]["capabilities"]["bounding"]) == set(DEFAULT_CAPABILITIES)
    assert config["process"]["noNewPrivileges"] is False
    assert config["root"]["readonly"] is False
    assert "/proc/sys" in config["linux"]["readonlyPaths"]
    assert config["process"]["args"] == ["serve"]
    assert config["process"]["cwd"] == "/app"


def test_security_context_of_redirect_container_is_applied() -> None:
    config = build({"securityContext": REDIRECT})

    assert config["process"]["user"] == {"uid": 16926, "gid": 16926, "additionalGids": []}
    assert config["process"]["capabilities"] == {
        "bounding": ["CAP_NET_ADMIN"],
        "effective": ["CAP_NET_ADMIN"],
        "permitted": ["CAP_NET_ADMIN"],
    }
    assert config["process"]["noNewPrivileges"] is True
    assert config["root"]["readonly"] is True


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        pytest.param({"drop": ["ALL"]}, set(), id="drop-all"),
        pytest.param({"drop": ["NET_RAW"]}, {*DEFAULT_CAPABILITIES} - {"CAP_NET_RAW"}, id="drop-one"),
        pytest.param({"add": ["NET_ADMIN"]}, {*DEFAULT_CAPABILITIES, "CAP_NET_ADMIN"}, id="add-one"),
        pytest.param(
            {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]}, {"CAP_NET_ADMIN", "CAP_NET_RAW"}, id="drop-all-add-two"
        ),
        pytest.param({"add": None, "drop": None}, {*DEFAULT_CAPABILITIES}, id="null-lists"),
    ],
)
def test_capabilities_are_dropped_and_added(capabilities: dict[str, list[str]], expected: set[str]) -> None:
    config = build({"securityContext": {"capabilities": capabilities}})

    assert set(config["process"]["capabilities"]["bounding"]) == expected


def test_privileged_and_add_all_grant_every_capability() -> None:
    privileged = build({"securityContext": {"privileged": True}})
    everything = build({"securityContext": {"capabilities": {"add": ["ALL"]}}})

    assert len(privileged["process"]["capabilities"]["bounding"]) == 41
    assert everything["process"]["capabilities"] == privileged["process"]["capabilities"]
    assert privileged["linux"]["readonlyPaths"] == []


def test_security_context_of_container_overrides_the_pods() -> None:
    pod = {"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": True, "fsGroup": 2000, "supplementalGroups": [3000]}

    config = build({"securityContext": {"runAsUser": 16925, "runAsGroup": None}}, securityContext=pod)

    assert config["process"]["user"] == {"uid": 16925, "gid": 1000, "additionalGids": [3000, 2000]}


def test_non_root_container_in_user_namespace_keeps_only_added_capabilities() -> None:
    redirect = build({"securityContext": REDIRECT}, single_user=True)
    app = build({"securityContext": {"runAsUser": 1000}}, single_user=True)
    root = build({}, single_user=True)

    assert redirect["process"]["user"] == app["process"]["user"] == {"uid": 0, "gid": 0}
    assert redirect["process"]["capabilities"]["bounding"] == ["CAP_NET_ADMIN"]
    assert app["process"]["capabilities"]["bounding"] == []
    assert set(root["process"]["capabilities"]["bounding"]) == set(DEFAULT_CAPABILITIES)


def test_volumes_are_mounted_at_mount_path_with_sub_path() -> None:
    mounts = [
        {"name": "data", "mountPath": "/data", "readOnly": True},
        {"name": "data", "mountPath": "/part", "subPath": "a/b"},
    ]

    config = build({"volumeMounts": mounts})

    assert find_mounts(config, "/data")[0]["source"] == "/volumes/data"
    assert "ro" in find_mounts(config, "/data")[0]["options"]
    assert find_mounts(config, "/part")[0]["source"] == "/volumes/data/a/b"
    assert "rw" in find_mounts(config, "/part")[0]["options"]


def test_parent_directories_are_mounted_before_their_children() -> None:
    mounts = [{"name": "data", "mountPath": "/usr/share/deep/data"}, {"name": "data", "mountPath": "/data"}]

    destinations = [mount["destination"] for mount in build({"volumeMounts": mounts})["mounts"]]

    assert destinations.index("/usr") < destinations.index("/usr/sbin/nft")
    assert destinations.index("/usr") < destinations.index("/usr/share/deep/data")
    assert destinations.index("/dev") < destinations.index("/dev/shm")


def test_containers_share_network_and_shared_memory_of_the_pod() -> None:
    config = build({})

    assert {"type": "network", "path": "/run/netns/web-0"} in config["linux"]["namespaces"]
    assert find_mounts(config, "/dev/shm")[0]["source"] == "/run/pods/web-0/shm"


def test_limitations_are_described_for_root_and_user_namespace() -> None:
    as_root, single_user = describe_limitations(single_user=False), describe_limitations(single_user=True)

    assert as_root.startswith("Enforced as root: users, groups, capabilities")
    assert single_user.startswith("Enforced in a user namespace: capabilities")
    assert "all uids are one" in single_user
    assert "Not enforced: seccomp" in as_root
    assert "Not enforced: seccomp" in single_user
