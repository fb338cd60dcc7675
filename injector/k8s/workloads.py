"""Finds the pod templates in Kubernetes objects."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from injector.errors import ObjectError
from injector.k8s.objects import JsonPath, Object, read_mapping

SPEC_TEMPLATE = ("spec", "template")
TEMPLATES: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "PodTemplate"): ("template",),
    ("", "ReplicationController"): SPEC_TEMPLATE,
    ("apps", "DaemonSet"): SPEC_TEMPLATE,
    ("apps", "Deployment"): SPEC_TEMPLATE,
    ("apps", "ReplicaSet"): SPEC_TEMPLATE,
    ("apps", "StatefulSet"): SPEC_TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    ("batch", "Job"): SPEC_TEMPLATE,
}
"""(API group, kind) -> path of the pod template. Other API groups have other kinds with the same names."""

LISTS = {f"{kind}List": kind for _, kind in TEMPLATES}


@dataclass(frozen=True)
class PodTemplate:
    """A pod, or the pod template of a workload."""

    kind: str
    name: str
    namespace: str | None
    """None if the object has no namespace."""

    object_path: JsonPath
    """The path of the object in its document: not empty for the items of a list."""

    template_path: JsonPath
    """The path of the pod template in the object: empty for a pod."""

    pod: Any

    @property
    def document_path(self) -> JsonPath:
        """The path of the pod template in its document."""
        return (*self.object_path, *self.template_path)


def find_objects(document: Any, path: JsonPath = ()) -> Iterator[tuple[Object, JsonPath]]:
    """The object of a document, or each item of a list, with its path. Items of a typed list have no kind."""
    if not isinstance(document, dict):
        return
    kind, items = document.get("kind"), document.get("items")
    if not isinstance(items, list) or not (kind == "List" or kind in LISTS):
        yield document, path
        return
    inherited = {"kind": LISTS[kind], "apiVersion": document.get("apiVersion")} if kind in LISTS else {}
    for index, item in enumerate(items):
        if isinstance(item, dict):
            yield from find_objects(inherited | item, (*path, "items", index))


def find_templates(document: Any) -> Iterator[PodTemplate]:
    """Every pod template of a document. Raises ObjectError where a template is not an object."""
    for obj, object_path in find_objects(document):
        group = str(obj.get("apiVersion") or "").rpartition("/")[0]
        inner = TEMPLATES.get((group, str(obj.get("kind"))))
        if inner is not None:
            yield _read_template(obj, object_path, inner)


def _read_template(obj: Object, object_path: JsonPath, inner: tuple[str, ...]) -> PodTemplate:
    metadata = read_mapping(obj, "metadata")
    name = str(metadata.get("name") or f"{metadata.get('generateName') or ''}*")
    pod: Any = obj
    for index, key in enumerate(inner):
        pod = pod.get(key)
        if not isinstance(pod, dict):
            raise ObjectError(f"{obj['kind']} {name} has no {'.'.join(inner[: index + 1])}: it must be an object")
    namespace = metadata.get("namespace")
    return PodTemplate(str(obj["kind"]), name, str(namespace) if namespace else None, object_path, inner, pod)
