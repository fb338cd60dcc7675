"""How somebody changes an injected pod: each function builds or is one change."""

from collections.abc import Callable
from typing import Any

from testing.cases import Pod

REDIRECT, SIDECAR = 0, 1
Change = Callable[[Pod], object]


def set_field(index: int, field: str, value: Any) -> Change:
    """Set a field of an injected container; the names of nested fields are separated by dots."""

    def change(pod: Pod) -> None:
        *parents, last = field.split(".")
        owner = pod["spec"]["initContainers"][index]
        for parent in parents:
            owner = owner.setdefault(parent, {})
        if value is None:
            del owner[last]
        else:
            owner[last] = value

    return change


def reverse(pod: Pod) -> None:
    pod["spec"]["initContainers"].reverse()


def put_first(pod: Pod) -> None:
    pod["spec"]["initContainers"].insert(0, {"name": "first", "image": "example/app:1"})


def put_between(pod: Pod) -> None:
    pod["spec"]["initContainers"].insert(1, {"name": "between", "image": "example/app:1"})


def remove_redirect(pod: Pod) -> None:
    del pod["spec"]["initContainers"][REDIRECT]


def remove_sidecar(pod: Pod) -> None:
    del pod["spec"]["initContainers"][SIDECAR]


def move_to_containers(pod: Pod) -> None:
    pod["spec"]["containers"] += pod["spec"].pop("initContainers")
    for container in pod["spec"]["containers"]:
        container.pop("restartPolicy", None)


def add_reserved_container(pod: Pod) -> None:
    pod["spec"]["containers"].append({"name": "podrole-extra", "image": "example/app:1"})


def mount_into_app(volume: str) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"]["containers"][0]["volumeMounts"] = [{"name": volume, "mountPath": "/mnt"}]
        if volume not in [each["name"] for each in pod["spec"]["volumes"]]:
            pod["spec"]["volumes"].append({"name": volume, "emptyDir": {}})

    return change


def mount_over(index: int, path: str, **fields: Any) -> Change:
    def change(pod: Pod) -> None:
        mount = {"name": "mine", "mountPath": path, **fields}
        pod["spec"]["volumes"].append({"name": mount["name"], "emptyDir": {}})
        pod["spec"]["initContainers"][index]["volumeMounts"].append(mount)

    return change


TOKEN = {"serviceAccountToken": {"audience": "sts.amazonaws.com", "expirationSeconds": 3600, "path": "token"}}
FILES = {"configMap": {"name": "mine"}}
MINE: dict[str, dict[str, Any]] = {
    "config-map": {"configMap": {"name": "mine"}},
    "secret": {"secret": {"secretName": "mine"}},
    "empty-directory": {"emptyDir": {}},
    "claim": {"persistentVolumeClaim": {"claimName": "mine"}},
    "host-path": {"hostPath": {"path": "/tmp"}},
    "files-beside-a-token": {"projected": {"sources": [TOKEN, FILES]}},
}
"""Volumes whose content an author chooses."""


def mount_volume(index: int, path: str, source: dict[str, Any]) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"]["volumes"].append({"name": "mine", **source})
        pod["spec"]["initContainers"][index]["volumeMounts"].append({"name": "mine", "mountPath": path})

    return change


def replace_volume(name: str, source: dict[str, Any]) -> Change:
    """Give one of podrole's volumes another source; mount it in the sidecar if it is not."""

    def change(pod: Pod) -> None:
        spec = pod["spec"]
        spec["volumes"] = [*(each for each in spec["volumes"] if each["name"] != name), {"name": name, **source}]
        mounts = spec["initContainers"][SIDECAR]["volumeMounts"]
        if name not in [mount["name"] for mount in mounts]:
            mounts.append({"name": name, "mountPath": "/run/podrole"})

    return change


def unmask_proc(pod: Pod) -> None:
    pod["spec"]["hostUsers"] = False
    pod["spec"]["initContainers"][REDIRECT]["securityContext"]["procMount"] = "Unmasked"


def use_block_device(pod: Pod) -> None:
    pod["spec"]["volumes"].append({"name": "mine", "persistentVolumeClaim": {"claimName": "mine"}})
    pod["spec"]["initContainers"][REDIRECT]["volumeDevices"] = [
        {"name": "mine", "devicePath": "/etc/podrole/redirect.nft"}
    ]


def unmount_token(pod: Pod) -> None:
    pod["spec"]["initContainers"][SIDECAR]["volumeMounts"] = []


def add_variable(index: int, name: str) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"]["initContainers"][index].setdefault("env", []).insert(0, {"name": name, "value": "/proc/self/cwd"})

    return change


def move_token(pod: Pod) -> None:
    pod["spec"]["initContainers"][SIDECAR]["volumeMounts"][0]["mountPath"] = "/var/run/secrets/elsewhere"


def set_app_context(key: str) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"]["containers"][0]["securityContext"] = {key: 16925}

    return change


def set_pod_context(key: str, value: Any = 16925) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"]["securityContext"] = {"runAsUser": 1, key: value}

    return change


def add_init_container_as_sidecar(pod: Pod) -> None:
    container = {"name": "init", "image": "example/app:1", "securityContext": {"runAsUser": 16925}}
    pod["spec"]["initContainers"].append(container)


def use_host_network(pod: Pod) -> None:
    pod["spec"]["hostNetwork"] = True
