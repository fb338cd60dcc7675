"""The resources of podrole's containers where the pod or its namespace sets some of them for the sidecar."""

from collections.abc import Mapping

from injector.k8s.objects import Object, read_mapping
from injector.quantity import parse_quantity


def adjust_resources(base: Object, wanted: Mapping[str, str], *, guaranteed: bool) -> Object:
    """Replace the resources of the template by those of the annotation.

    Where it sets only the request or only the limit, the other one follows if the request would exceed the limit. In a
    Guaranteed pod both are equal: the limit if it sets one, else the request.
    """
    requests, limits = {**read_mapping(base, "requests")}, {**read_mapping(base, "limits")}
    for key in ("cpu", "memory"):
        request, limit = wanted.get(f"requests.{key}"), wanted.get(f"limits.{key}")
        if guaranteed and (request or limit):
            request = limit = limit or request
        if request:
            requests[key] = request
        if limit:
            limits[key] = limit
        if _exceeds(requests.get(key), limits.get(key)):
            requests[key] = limits[key] = limit or request
    return {"requests": requests, "limits": limits}


def raise_resources(base: Object, wanted: Mapping[str, str], *, guaranteed: bool) -> Object:
    """Raise the requests of the redirect container to those of the annotation, and its limits with them.

    So a LimitRange with a minimum admits both containers. The sidecar starts after this container has ended, so beside
    a sidecar this adds nothing to the pod's requests. A CPU limit alone would only slow down each start.
    """
    requests, limits = {**read_mapping(base, "requests")}, {**read_mapping(base, "limits")}
    for key in ("cpu", "memory"):
        request, limit = wanted.get(f"requests.{key}"), wanted.get(f"limits.{key}")
        if guaranteed:
            request = limit = limit or request
        if request and _exceeds(request, requests.get(key)):
            requests[key] = request
            if limit or key in limits:
                limits[key] = _choose_larger(limits.get(key), limit or request)
    return {"requests": requests, "limits": limits}


def _choose_larger(first: object, second: object) -> object:
    return first if _exceeds(first, second) else second


def _exceeds(request: object, limit: object) -> bool:
    if request is None or limit is None:
        return False
    return (parse_quantity(request) or 0) > (parse_quantity(limit) or 0)
