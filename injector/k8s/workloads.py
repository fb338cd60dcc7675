"""Where each kind keeps the template of its pods. Nothing is decided here, and no other field is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from injector.errors import ObjectError
from injector.k8s.objects import Object, read_mapping

Path = tuple[str | int, ...]
"""Keys and indexes, from a document's root on."""

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
"""API group and kind: the path of the template. Other groups have kinds of the same names with other contents."""

LISTS = {f"{kind}List": kind for _, kind in TEMPLATES}


@dataclass(frozen=True)
class PodTemplate:
    """A pod, or the template of one, in an object."""

    kind: str
    name: str
    namespace: str | None
    """None where the object names none."""

    place: Path
    """Where the object is in its document: empty but for items of lists."""

    path: Path
    """Where the pod is in the object: empty for a pod."""

    pod: Any

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


def find_objects(document: Any, path: Path = ()) -> Iterator[tuple[Object, Path]]:
    """The objects of a document, of a list each item, and where they are. Items of a typed list name no kind."""
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
    """Every pod template of a document; other objects have none. Raises ObjectError where one is no template."""
    for thing, place in find_objects(document):
        group = str(thing.get("apiVersion") or "").rpartition("/")[0]
        inner = TEMPLATES.get((group, str(thing.get("kind"))))
        if inner is not None:
            yield _read_template(thing, place, inner)


def _read_template(thing: Object, place: Path, inner: tuple[str, ...]) -> PodTemplate:
    metadata = read_mapping(thing, "metadata")
    name = str(metadata.get("name") or f"{metadata.get('generateName') or ''}*")
    pod: Any = thing
    for index, key in enumerate(inner):
        pod = pod.get(key)
        if not isinstance(pod, dict):
            raise ObjectError(f"{thing['kind']} {name} has no {'.'.join(inner[: index + 1])}: it must be an object")
    namespace = metadata.get("namespace")
    return PodTemplate(str(thing["kind"]), name, str(namespace) if namespace else None, place, inner, pod)
