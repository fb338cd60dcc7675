"""Objects whose pods podrole's webhook can inject, but in whose manifests `inject` cannot: each gets a note."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from injector.k8s.objects import JsonPath, Object
from injector.k8s.workload_kinds import OPTION, Kinds
from injector.k8s.workloads import PodTemplate, build_template, find_objects, read_group_kind, read_templates

MAX_VALUES = 100_000
"""Of one object that are searched for containers."""

MAX_DEPTH = 30
MAX_FOUND = 10
"""Places of one object that are reported."""

WEBHOOK_ONLY, NO_POD_TEMPLATE, UNKNOWN_POD_TEMPLATE = "WebhookOnly", "NoPodTemplate", "UnknownPodTemplate"
"""Reasons. No decision has them: these objects never reach one."""

BY_WEBHOOK = "The webhook injects its pods when they are created."


class UnchangedObject(NamedTuple):
    """An object that `inject` leaves as it is, although pods are made from it."""

    template: PodTemplate
    """Where its containers are, or the object itself."""

    reason: str
    sentence: str
    remedy: str = ""
    """How to make it known."""

    is_account_known: bool = False
    """Whether podrole can read the ServiceAccount and the annotations of its pods."""


def find_unchanged(document: Any, kinds: Kinds) -> Iterator[UnchangedObject]:
    """Every such object of a document. Raises ObjectError."""
    for obj, path in find_objects(document):
        if not isinstance(obj.get("kind"), str):
            continue
        known = kinds.get(read_group_kind(obj))
        templates = [*read_templates(obj, path, kinds)]
        if known and known.cannot_inject:
            sentence = f"{known.cannot_inject}, so podrole does not change its manifest."
            template = build_template(obj, path, (), obj)
            yield UnchangedObject(template, WEBHOOK_ONLY, sentence, is_account_known=bool(templates))
        elif known and not templates:
            sentence = f"It has no pod template ({' or '.join(known.paths)}), so podrole does not change it."
            template = build_template(obj, path, (), obj)
            yield UnchangedObject(template, NO_POD_TEMPLATE, sentence, is_account_known=True)
        else:
            yield from _find_unknown(obj, path, templates)


def _find_unknown(obj: Object, path: JsonPath, templates: list[PodTemplate]) -> Iterator[UnchangedObject]:
    known = {template.template_path for template in templates}
    found: dict[str, JsonPath] = {}
    for place in _find_containers(obj):
        if place not in known and len(found) < MAX_FOUND:
            found.setdefault(_format(place), place)
    for pattern, place in found.items():
        where = f"{pattern}.spec.containers".removeprefix(".")
        sentence = f"It has {where}, which is in no pod template that podrole knows, so it is left as it is."
        template = build_template(obj, path, place, obj)
        yield UnchangedObject(template, UNKNOWN_POD_TEMPLATE, sentence, _build_hint(obj, pattern))


def _find_containers(obj: Object) -> Iterator[JsonPath]:
    """The path of each object with a spec that has a list of containers, as a pod template has."""
    waiting: list[tuple[JsonPath, Any]] = [((), obj)]
    for _ in range(MAX_VALUES):
        if not waiting:
            return
        path, value = waiting.pop()
        if isinstance(value, dict) and _has_containers(value):
            yield path
        elements = value.items() if isinstance(value, dict) else enumerate(value)
        if len(path) < MAX_DEPTH:
            waiting += [((*path, key), inner) for key, inner in elements if isinstance(inner, dict | list)]


def _has_containers(value: Object) -> bool:
    spec = value.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    return isinstance(containers, list) and any(isinstance(one, dict) and "name" in one for one in containers)


def _format(path: JsonPath) -> str:
    return ".".join("*" if isinstance(key, int) else str(key) for key in path)


def _build_hint(obj: Object, path: str) -> str:
    """The option that makes this place known; empty where no option can."""
    group, kind = read_group_kind(obj)
    option = f"{kind}.{group}={path}" if group else f"{kind}={path}"
    return f"If {path} is a pod template, use --pod-template-path '{option}'." if OPTION.fullmatch(option) else ""
