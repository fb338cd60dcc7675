"""Pods for which the redirect is impossible."""

from injector.k8s.objects import Object, read_mapping, read_spec
from injector.reasons import Reason

UNSUPPORTED = {
    Reason.HOST_NETWORK: Reason.HOST_NETWORK_WITH_ROLE,
    Reason.WINDOWS: Reason.WINDOWS_WITH_ROLE,
}
"""Why a redirect is impossible, and the denial if the pod itself sets a role."""


def find_unsupported(pod: Object) -> Reason | None:
    """Why the redirect is impossible for this pod: it uses the node's network or runs on Windows."""
    spec = read_spec(pod)
    if spec.get("hostNetwork"):
        return Reason.HOST_NETWORK
    selected = read_mapping(spec, "nodeSelector").get("kubernetes.io/os")
    return Reason.WINDOWS if "windows" in (read_mapping(spec, "os").get("name"), selected) else None
