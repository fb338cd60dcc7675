"""What lets a container remove or bypass the redirect. The default capabilities of container runtimes do not."""

from collections.abc import Iterator

from injector.k8s.objects import Object, read_list, read_mapping, read_spec

POWERFUL_CAPABILITIES = ("NET_ADMIN", "SYS_ADMIN", "SYS_MODULE", "ALL")
"""NET_ADMIN deletes the rules; SYS_ADMIN enters the node's network namespace; SYS_MODULE changes the kernel."""

TRACE = "SYS_PTRACE"
"""Controls the processes of other containers, where they are visible."""

MAX_CAPABILITY_NAME = 32
"""The longest, CAP_CHECKPOINT_RESTORE, has 22 characters."""


def read_capabilities(container: Object, key: str) -> frozenset[str]:
    """The capabilities that a container adds or drops, as container runtimes read them: without case and `CAP_`.

    https://github.com/containerd/containerd/blob/v2.2.0/internal/cri/opts/spec_linux_opts.go
    https://github.com/cri-o/cri-o/blob/v1.34.0/internal/factory/container/container.go
    """
    names = read_list(read_mapping(read_mapping(container, "securityContext"), "capabilities"), key)
    short = (name for name in names if isinstance(name, str) and len(name) <= MAX_CAPABILITY_NAME)
    return frozenset(name.upper().removeprefix("CAP_") for name in short)


def find_powers(container: Object, pod: Object) -> Iterator[str]:
    """Say what this container has that can remove or bypass the redirect, as in `adds NET_ADMIN`."""
    spec, security = read_spec(pod), read_mapping(container, "securityContext")
    if security.get("privileged"):
        yield "is privileged"
    if security.get("procMount") == "Unmasked":
        yield "has an unmasked /proc"
    if spec.get("hostPID"):
        yield "sees the node's processes"
    added = read_capabilities(container, "add") if security else frozenset()
    sees_others = bool(spec.get("hostPID") or spec.get("shareProcessNamespace"))
    for capability in (*POWERFUL_CAPABILITIES, *((TRACE,) if sees_others else ())):
        if capability in added:
            yield f"adds {capability}"
