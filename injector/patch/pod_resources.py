"""What podrole's containers request in a pod that has resources as a whole (spec.resources, Kubernetes 1.34).

The API server rejects such a pod if its containers request more than it, or if one has a higher limit. Its QoS class
depends on spec.resources alone. https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/
"""

from fractions import Fraction

from injector.k8s.objects import Object, is_reserved, read_mapping, read_objects, read_spec
from injector.quantity import parse_quantity

NONE = Fraction(0)


def fit_resources(resources: Object, pod: Object, *, runs_beside_others: bool) -> Object:
    """Return those of a container's resources that fit into the pod's. It shares the pod's where one does not fit.

    `runs_beside_others`: whether it runs as long as the pod, so that its requests are added to those of the others.
    """
    requests, limits = read_mapping(resources, "requests"), read_mapping(resources, "limits")
    whole = read_mapping(read_spec(pod), "resources")
    pod_requests, pod_limits = read_mapping(whole, "requests"), read_mapping(whole, "limits")
    kept_requests, kept_limits = {}, {}
    for key in {**requests, **limits}:
        request = requests.get(key, limits.get(key))  # without a request, the limit becomes one
        taken = sum_requests(pod, key) if runs_beside_others else NONE
        # A request that the pod lacks is set to that of its containers, and must not exceed the pod's limit.
        if _fits(request, pod_requests.get(key, pod_limits.get(key)), taken):
            if key in requests:
                kept_requests[key] = request
            if key in limits and _fits(limits[key], pod_limits.get(key), NONE):
                kept_limits[key] = limits[key]
    return {name: kept for name, kept in (("requests", kept_requests), ("limits", kept_limits)) if kept}


def sum_requests(pod: Object, key: str) -> Fraction | None:
    """What the pod's own containers request together of one resource; None where a quantity is not valid.

    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    spec = read_spec(pod)
    beside = NONE  # of the sidecars so far
    highest = NONE
    for container in read_objects(spec, "initContainers"):
        if is_reserved(container):
            continue
        request = read_request(container, key)
        if request is None:
            return None
        highest = max(highest, beside + request)
        if container.get("restartPolicy") == "Always":
            beside += request
    for container in read_objects(spec, "containers"):
        if is_reserved(container):  # the patch removes it
            continue
        request = read_request(container, key)
        if request is None:
            return None
        beside += request
    return max(highest, beside)


def read_request(container: Object, key: str) -> Fraction | None:
    """What a container requests; its limit where it has no request, as the API server sets it."""
    resources = read_mapping(container, "resources")
    value = read_mapping(resources, "requests").get(key, read_mapping(resources, "limits").get(key))
    return NONE if value is None else parse_quantity(value)


def _fits(value: object, whole: object, taken: Fraction | None) -> bool:
    if whole is None:
        return True
    available, needed = parse_quantity(whole), parse_quantity(value)
    return None not in (available, needed, taken) and taken + needed <= available  # type: ignore[operator] # not None
