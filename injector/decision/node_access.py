"""Which containers could become the sidecar's user, whom the redirect lets reach the node's metadata service.

An image can name that user, and a setuid file can start a process as any user, so a pod's own fields must exclude both.
"""

from collections.abc import Iterator

import contract
from injector.decision.container_powers import read_added, read_dropped
from injector.k8s.objects import Object, read_mapping, read_spec

FORBIDDEN_CAPABILITIES = ("ALL", "SETUID", "SYS_ADMIN", "SYS_PTRACE")
"""Change the user, or control a process of another one."""


def find_missing_limits(container: Object, pod: Object) -> Iterator[str]:
    """Say why this container could become the sidecar's user; nothing if it cannot.

    `allowPrivilegeEscalation: false` sets no_new_privs, with which setuid files and file capabilities have no effect.
    https://docs.kernel.org/userspace-api/no_new_privs.html
    """
    security = read_mapping(container, "securityContext")
    user = security.get("runAsUser")
    if user is None:
        user = read_mapping(read_spec(pod), "securityContext").get("runAsUser")
    if user is None:
        yield "it has no runAsUser, so its image chooses the user"
    elif user == contract.SIDECAR_UID:
        yield "that is its runAsUser"
    if security.get("privileged"):
        yield "it is privileged"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "it does not set allowPrivilegeEscalation: false"
    if added := [name for name in FORBIDDEN_CAPABILITIES if name in read_added(container)]:
        yield f"it adds {' and '.join(added)}"
    if user == 0 and not read_dropped(container) & {"ALL", "SETUID"}:
        yield "it runs as root and does not drop ALL or SETUID"
