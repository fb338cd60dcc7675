"""Pods for which the redirect is impossible."""

from injector.k8s.objects import Object, read_mapping, read_objects, read_spec
from injector.reasons import Reason

UNSUPPORTED = {
    Reason.HOST_NETWORK: Reason.HOST_NETWORK_WITH_ROLE,
    Reason.WINDOWS: Reason.WINDOWS_WITH_ROLE,
}
"""Why a redirect is impossible, and the denial if the pod itself sets a role."""

OS_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")
"""Every kubelet sets both on its node, and rejects a pod whose nodeSelector or required affinity does not match them.

https://kubernetes.io/docs/reference/labels-annotations-taints/#beta-kubernetes-io-os-deprecated
"""


def find_unsupported(pod: Object) -> Reason | None:
    """Why the redirect is impossible for this pod: it uses the node's network or runs on Windows.

    kustomize/base/guard/pods.yaml has the same conditions.
    """
    spec = read_spec(pod)
    if spec.get("hostNetwork"):
        return Reason.HOST_NETWORK
    selector = read_mapping(spec, "nodeSelector")
    systems = (read_mapping(spec, "os").get("name"), *map(selector.get, OS_LABELS))
    return Reason.WINDOWS if "windows" in systems or _requires_windows_nodes(spec) else None


def _requires_windows_nodes(spec: Object) -> bool:
    """Whether the required node affinity, one of whose terms a node must match, has Windows in every term."""
    affinity = read_mapping(read_mapping(spec, "affinity"), "nodeAffinity")
    terms = read_objects(read_mapping(affinity, "requiredDuringSchedulingIgnoredDuringExecution"), "nodeSelectorTerms")
    return bool(terms) and all(any(map(_is_windows, read_objects(term, "matchExpressions"))) for term in terms)


def _is_windows(expression: Object) -> bool:
    is_only_windows = expression.get("operator") == "In" and expression.get("values") == ["windows"]
    return is_only_windows and expression.get("key") in OS_LABELS
