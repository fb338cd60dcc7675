"""The annotation podrole.io/sidecar-resources: requests and limits of a pod's sidecar, within the operator's bounds.

Its names are those of a ResourceQuota. https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from collections.abc import Iterator, Mapping

from injector.config import Config
from injector.k8s.objects import Metadata
from injector.metadata_keys import SIDECAR_RESOURCES
from injector.quantity import parse_quantity
from injector.reasons import Explanation, Reason

NAMES = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")

Resources = Mapping[str, str]
"""Quantities by name."""


def parse_sidecar_resources(pod: Metadata, namespace: Metadata) -> Resources:
    """Combine both annotations: an entry of the pod replaces that of the namespace."""
    return {**_parse(namespace), **_parse(pod)}


def find_resource_errors(pod: Metadata, namespace: Metadata, config: Config) -> Iterator[Explanation]:
    """Explain the first problem of each annotation, or of both together."""
    if SIDECAR_RESOURCES not in pod.annotations and SIDECAR_RESOURCES not in namespace.annotations:  # nearly every pod
        return
    texts = {kind: one.annotations.get(SIDECAR_RESOURCES) for kind, one in (("namespace", namespace), ("pod", pod))}
    problems = {kind: problem for kind, text in texts.items() if text and (problem := _find_problem(text, config))}
    if not problems and any(texts.values()) and (problem := _compare(parse_sidecar_resources(pod, namespace))):
        problems = {"pod and of its namespace together": problem}
    for kind, problem in problems.items():
        where = f"annotation {SIDECAR_RESOURCES} of the {kind}"
        yield Reason.INVALID_SIDECAR_RESOURCES.explain(where=where, problem=problem)


def _compare(both: Resources) -> str | None:
    for key in ("cpu", "memory"):
        request, limit = both.get(f"requests.{key}"), both.get(f"limits.{key}")
        if request and limit and _read(request) > _read(limit):
            return f"requests.{key} is {request}, which is more than limits.{key}, {limit}"
    return None


def _parse(metadata: Metadata) -> Resources:
    text = metadata.annotations.get(SIDECAR_RESOURCES)
    return {name: value for name, _, value in (entry.partition("=") for entry in text.split(","))} if text else {}


def _find_problem(text: str, config: Config) -> str | None:
    entries = [entry.partition("=") for entry in text.split(",", maxsplit=len(NAMES))]
    names = [name for name, _, _ in entries]
    for name, _, value in entries:
        if name not in NAMES:
            return f'"{name}" is none of {", ".join(NAMES)}'
        if names.count(name) > 1:
            return f"it has {name} twice"
        if parse_quantity(value) is None:
            return f'{name} is "{value}", which is no quantity'
        low, high = getattr(config.sidecar_resources_range, name.rpartition(".")[2])
        if not _read(low) <= _read(value) <= _read(high):
            return f"{name} is {value}, and the operator allows {low} to {high}"
    return None


def _read(quantity: str) -> float:
    return float(parse_quantity(quantity) or 0)
