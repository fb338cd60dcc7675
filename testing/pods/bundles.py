"""Converts a container of a pod spec to an OCI runtime configuration. `build_config` is pure.

https://github.com/opencontainers/runtime-spec/blob/v1.0.2/config.md
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testing.pods.environment import build_arguments, build_environment
from testing.pods.errors import PodError
from testing.pods.images import Image
from testing.pods.security import build_capabilities, build_security_context, build_single_user_capabilities, build_user

KERNEL_MOUNTS = (
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
    {
        "destination": "/dev/pts",
        "type": "devpts",
        "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
    },
)
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""Paths that containerd masks or makes read-only in unprivileged containers."""

MOUNT_FLAGS = {os.ST_NOSUID: "nosuid", os.ST_NODEV: "nodev", os.ST_NOEXEC: "noexec"}


@dataclass(frozen=True)
class Sandbox:
    """What the containers of a pod have in common."""

    pod: Mapping[str, Any]
    """The pod with its status, as the API server returns it."""
    network_namespace: str
    shared_memory: str
    """Path on the node of the pod's /dev/shm."""
    volumes: Mapping[str, str]
    """Volume name -> path on the node."""
    single_user: bool
    """Whether there is only one uid, as in a user namespace."""


def build_config(container: Mapping[str, Any], image: Image, sandbox: Sandbox) -> dict[str, Any]:
    """Build the OCI configuration of a container."""
    security = build_security_context(container, sandbox.pod)
    kinds = ("mount", "pid", "ipc", "uts")
    return {
        "ociVersion": "1.0.2",
        "process": _process(container, image, sandbox),
        "root": {"path": "rootfs", "readonly": bool(security.get("readOnlyRootFilesystem"))},
        "hostname": sandbox.pod["metadata"]["name"][:63],
        "mounts": [*KERNEL_MOUNTS, *_mounts(container, image, sandbox)],
        "linux": {
            "namespaces": [
                *({"type": kind} for kind in kinds),
                {"type": "network", "path": sandbox.network_namespace},
            ],
            "readonlyPaths": [] if security.get("privileged") else [*READ_ONLY_PATHS],
        },
    }


def write_bundle(directory: Path, config: Mapping[str, Any], image: Image) -> None:
    """Write the bundle: the configuration and a root folder with the image's links and files."""
    root = directory / "rootfs"
    (root / "tmp").mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for path, target in image.symlinks.items():
        (root / path.lstrip("/")).symlink_to(target)
    for path, text in {**image.files, "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n"}.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    mounts = [_keep_mount_flags(mount) for mount in config["mounts"]]
    (directory / "config.json").write_text(json.dumps({**config, "mounts": mounts}, indent=1))


def _process(container: Mapping[str, Any], image: Image, sandbox: Sandbox) -> dict[str, Any]:
    security = build_security_context(container, sandbox.pod)
    user = build_user(security, image, name=container["name"])
    if sandbox.single_user:
        capabilities = build_single_user_capabilities(security, user["uid"])
        user = {"uid": 0, "gid": 0}
    else:
        capabilities = build_capabilities(security)
    environment = build_environment(container, image.environment, sandbox.pod)
    return {
        "terminal": False,
        "user": user,
        "args": build_arguments(container, (image.entrypoint, image.arguments), environment),
        "env": [f"{name}={value}" for name, value in environment.items()],
        "cwd": container.get("workingDir") or image.working_directory,
        # As containerd, no inheritable and ambient ones: a non-root process gets a capability only from a file.
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
        "noNewPrivileges": security.get("allowPrivilegeEscalation") is False,
    }


def _mounts(container: Mapping[str, Any], image: Image, sandbox: Sandbox) -> list[dict[str, Any]]:
    """Sort parents before their children: otherwise a later mount would hide an earlier one."""
    binds = [_bind(path, source, read_only=True) for path, source in image.binds.items()]
    binds.append(_bind("/dev/shm", sandbox.shared_memory, read_only=False))
    binds.extend(_volume_bind(container["name"], mount, sandbox) for mount in container.get("volumeMounts") or [])
    return sorted(binds, key=lambda bind: str(bind["destination"]).count("/"))


def _volume_bind(name: str, mount: Mapping[str, Any], sandbox: Sandbox) -> dict[str, Any]:
    source = sandbox.volumes.get(mount["name"])
    if source is None:
        raise PodError(f"container {name}: volumeMounts names {mount['name']}, which is not in the pod's volumes")
    if "subPathExpr" in mount:
        raise PodError(f"container {name}: volumeMounts {mount['name']}: subPathExpr is not supported, use subPath")
    path = Path(source, mount.get("subPath") or "")
    return _bind(mount["mountPath"], str(path), read_only=bool(mount.get("readOnly")))


def _bind(path: str, source: str, *, read_only: bool) -> dict[str, Any]:
    options = ["rbind", "nodev", *(["ro"] if read_only else ["rw"])]
    return {"destination": path, "type": "bind", "source": source, "options": options}


def _keep_mount_flags(mount: Mapping[str, Any]) -> Mapping[str, Any]:
    """Copy the mount flags of the source: a user namespace cannot clear flags that its parent set."""
    if mount["type"] != "bind" or not Path(mount["source"]).exists():
        return mount
    flags = os.statvfs(mount["source"]).f_flag
    kept = [name for flag, name in MOUNT_FLAGS.items() if flags & flag]
    return {**mount, "options": sorted({*mount["options"], *kept})}
