"""Converts a securityContext to the user, groups and capabilities of a process. Pure; the OCI runtime applies them."""

from collections.abc import Mapping
from typing import Any

from testing.pods.errors import PodError
from testing.pods.images import Image

DEFAULT_CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
"""containerd's default capabilities: `defaultUnixCaps` in its `oci/spec.go`."""

ALL_CAPABILITIES = (
    *DEFAULT_CAPABILITIES,
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_READ",
    "CAP_BLOCK_SUSPEND",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
    "CAP_DAC_READ_SEARCH",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE",
    "CAP_NET_ADMIN",
    "CAP_NET_BROADCAST",
    "CAP_PERFMON",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_WAKE_ALARM",
)

NOT_ENFORCED = "Not enforced: seccomp, AppArmor, SELinux, resources, probes, DNS, fsGroup's ownership of files."
ENFORCED_AS_ROOT = (
    "Enforced as root: users, groups, capabilities, no_new_privs and read-only root file systems; "
    "privileged adds no devices."
)
ENFORCED_SINGLE_USER = (
    "Enforced in a user namespace: capabilities, no_new_privs and read-only root file systems; all uids are one "
    "(non-root processes keep only the capabilities that they add)."
)


def describe_limitations(*, single_user: bool) -> str:
    """Describe which fields of a securityContext are enforced."""
    return f"{ENFORCED_SINGLE_USER if single_user else ENFORCED_AS_ROOT} {NOT_ENFORCED}"


def build_security_context(container: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the pod's securityContext with the container's, whose fields win.

    https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
    """
    inherited = pod["spec"].get("securityContext") or {}
    own = {key: value for key, value in (container.get("securityContext") or {}).items() if value is not None}
    return {**inherited, **own}


def build_user(security: Mapping[str, Any], image: Image, *, name: str) -> dict[str, Any]:
    """OCI's `process.user`: runAsUser and runAsGroup, or the image's; supplemental groups and fsGroup."""
    uid = security.get("runAsUser", image.user)
    if security.get("runAsNonRoot") and uid == 0:
        raise PodError(f"container {name}: runAsNonRoot is true, but it would run as uid 0: set runAsUser")
    gid = security.get("runAsGroup", image.group if uid == image.user else 0)
    more = [*(security.get("supplementalGroups") or []), *([security["fsGroup"]] if "fsGroup" in security else [])]
    return {"uid": uid, "gid": gid, "additionalGids": more}


def build_capabilities(security: Mapping[str, Any]) -> list[str]:
    """The bounding set: containerd's defaults, then drop and add, ALL before single names."""
    if security.get("privileged"):
        return sorted(ALL_CAPABILITIES)
    lists = security.get("capabilities") or {}
    add, drop = (_names(lists.get(key)) for key in ("add", "drop"))
    if "CAP_ALL" in add:
        kept = set(ALL_CAPABILITIES)
    elif "CAP_ALL" in drop:
        kept = set()
    else:
        kept = set(DEFAULT_CAPABILITIES)
    return sorted(((kept | add) - drop) - {"CAP_ALL"})


def build_single_user_capabilities(security: Mapping[str, Any], uid: int) -> list[str]:
    """The capabilities of a process that represents `uid` where all processes have uid 0.

    A non-root process has no capability of the bounding set, unless a file capability adds it. uid 0 has all of them.
    """
    kept = build_capabilities(security)
    if uid == 0 or security.get("privileged"):
        return kept
    return sorted(_names((security.get("capabilities") or {}).get("add")) & set(kept))


def _names(capabilities: list[str] | None) -> set[str]:
    return {f"CAP_{name.upper().removeprefix('CAP_')}" for name in capabilities or []}
