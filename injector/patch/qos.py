"""The QoS class of a pod as the API server computes it, for pods without resources as a whole.

https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/#guaranteed
"""

import re

from injector.k8s.objects import Object, read_mapping
from injector.patch.injection_record import AppContainers
from injector.quantity import parse_quantity

PLAIN = re.compile(r"[1-9][0-9]{0,9}(m|[KMGT]i)?").fullmatch
"""Matches most quantities, and none that is zero."""


def is_guaranteed(containers: AppContainers) -> bool:
    """Whether every container of the pod has requests equal to limits, for CPU and memory."""
    return bool(containers) and all(_is_guaranteed(read_mapping(container, "resources")) for _, container in containers)


def _is_guaranteed(resources: Object) -> bool:
    limits, requests = read_mapping(resources, "limits"), read_mapping(resources, "requests")
    return all(key in limits and _are_equal(limits[key], requests.get(key, limits[key])) for key in ("cpu", "memory"))


def _are_equal(limit: object, request: object) -> bool:
    """Whether both have the same value, however it is written. A limit of 0 counts as none."""
    if isinstance(limit, str) and limit == request and PLAIN(limit):  # most pods
        return True
    value = parse_quantity(limit)
    return bool(value) and value == parse_quantity(request)
