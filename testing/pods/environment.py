"""Builds a container's environment and arguments as the kubelet does: values, fieldRef and $(VAR).

Pure. Unsupported fields raise PodError with the field's name.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from testing.pods.errors import PodError

REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))")
FIELD_WITH_KEY = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value and `$$` by a dollar sign; keep references to undefined names.

    https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """
    return REFERENCE.sub(lambda found: "$" if found[1] else values.get(found[2], found[0]), text)


def build_environment(
    container: Mapping[str, Any], image_environment: Mapping[str, str], fields: Mapping[str, Any]
) -> dict[str, str]:
    """The image's variables, then the container's in order; each can refer to earlier ones."""
    if container.get("envFrom"):
        raise PodError(f"container {container['name']}: envFrom is not supported here; write the variables as env")
    own: dict[str, str] = {}
    for variable in container.get("env") or []:
        own[variable["name"]] = _value(container["name"], variable, own, fields)
    return {**image_environment, **own}


def build_arguments(
    container: Mapping[str, Any], defaults: tuple[Iterable[str], Iterable[str]], environment: Mapping[str, str]
) -> list[str]:
    """The command line that the container executes; `defaults` are the image's entrypoint and arguments.

    `command` replaces both, `args` only the arguments.
    https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
    """
    command, arguments = container.get("command"), container.get("args")
    entrypoint, default_arguments = defaults
    words = [*command, *(arguments or [])] if command else [*entrypoint, *(arguments or default_arguments)]
    if not words:
        raise PodError(f"container {container['name']}: no command, and its image has no entrypoint")
    return [expand(word, environment) for word in words]


def build_field(path: str, fields: Mapping[str, Any]) -> str:
    """The value of a fieldRef; `fields` is the pod with its status. Missing labels and annotations are empty.

    https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
    """
    keyed = FIELD_WITH_KEY.fullmatch(path)
    if keyed:
        return str((fields["metadata"].get(keyed[1]) or {}).get(keyed[2], ""))
    if path not in PLAIN_FIELDS:
        supported = ", ".join([*PLAIN_FIELDS, "metadata.labels['KEY']", "metadata.annotations['KEY']"])
        raise PodError(f"fieldPath {path!r} is not supported here; supported: {supported}")
    section, name = path.split(".")
    return str((fields.get(section) or {}).get(name, ""))


PLAIN_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.serviceAccountName",
    "spec.nodeName",
    "status.podIP",
    "status.hostIP",
)


def _value(container: str, variable: Mapping[str, Any], defined: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    source = variable.get("valueFrom")
    if not source:
        return expand(variable.get("value") or "", defined)
    if "fieldRef" not in source:
        kinds = ", ".join(source)
        raise PodError(
            f"container {container}: env {variable['name']}: valueFrom {kinds} is not supported, only fieldRef"
        )
    try:
        return build_field(source["fieldRef"]["fieldPath"], fields)
    except PodError as error:
        raise PodError(f"container {container}: env {variable['name']}: {error}") from None
