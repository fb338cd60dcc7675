"""What lets a container remove or bypass the redirect. The default capabilities of container runtimes do not."""

from collections.abc import Iterator

from injector.k8s.objects import Object, read_list, read_mapping, read_spec

POWERFUL_CAPABILITIES = ("NET_ADMIN", "SYS_ADMIN", "SYS_MODULE", "ALL")
"""NET_ADMIN deletes the rules; SYS_ADMIN enters the node's network namespace; SYS_MODULE changes the kernel."""

TRACE = "SYS_PTRACE"
"""Controls the processes of other containers, where they are visible."""

KNOWN = frozenset({*POWERFUL_CAPABILITIES, TRACE, "SETUID"})
"""Those that rules ask for. Others are not kept: a container can add 100 000."""

MAX_CAPABILITY_NAME = 32
"""The longest, CAP_CHECKPOINT_RESTORE, has 22 characters."""


def read_added(container: Object) -> frozenset[str]:
    """Which of KNOWN a container adds, in any spelling that a container runtime accepts: all ignore case.

    https://github.com/containerd/containerd/blob/v2.2.0/internal/cri/opts/spec_linux_opts.go adds `CAP_`;
    https://github.com/cri-o/cri-o/blob/v1.34.0/internal/factory/container/container.go accepts names with it.
    """
    return KNOWN.intersection(name.upper().removeprefix("CAP_") for name in _read_names(container, "add"))


def read_dropped(container: Object) -> frozenset[str]:
    """Which of KNOWN a container drops, with every container runtime: containerd ignores names with `CAP_`."""
    return KNOWN.intersection(name.upper() for name in _read_names(container, "drop") if name.isascii())


def _read_names(container: Object, key: str) -> Iterator[str]:
    names = read_list(read_mapping(read_mapping(container, "securityContext"), "capabilities"), key)
    return (name for name in names if isinstance(name, str) and len(name) <= MAX_CAPABILITY_NAME)


def find_powers(container: Object, pod: Object) -> Iterator[str]:
    """Say what this container has that can remove or bypass the redirect, as in `adds NET_ADMIN`."""
    spec, security = read_spec(pod), read_mapping(container, "securityContext")
    if security.get("privileged"):
        yield "is privileged"
    if security.get("procMount") == "Unmasked":
        yield "has an unmasked /proc"
    if spec.get("hostPID"):
        yield "sees the node's processes"
    if not security or not (added := read_added(container)):
        return
    sees_others = bool(spec.get("hostPID") or spec.get("shareProcessNamespace"))
    for capability in (*POWERFUL_CAPABILITIES, *((TRACE,) if sees_others else ())):
        if capability in added:
            yield f"adds {capability}"
