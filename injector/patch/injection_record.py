"""What podrole added to a pod: recorded in the annotation `podrole.io/status`, so that `uninject` can subtract it.

The API server may call a webhook twice for one pod (`reinvocationPolicy`), and the second call finds the variables of
the first one. Only the record can then tell them from variables that the pod's author wrote. So an entry of an existing
record stays as long as it names a variable that podrole adds and the container has it with exactly the recorded value;
all other content is replaced. Where the mode has changed since the first call, the recorded variables that lead to the
sidecar in the other mode are removed. Anybody can write the annotation, so neither a decision nor any other part of the
patch depends on it: a forged record can only remove variables with podrole's values from its author's own pod.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#reinvocation-policy
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import orjson

import contract
from injector.k8s.objects import (
    CONTAINER_FIELDS,
    Object,
    is_reserved,
    read_mapping,
    read_name,
    read_objects,
    read_spec,
)
from injector.metadata_keys import STATUS_ANNOTATION
from injector.patch.app_env import ADDED_VARIABLES, UNCHANGED, EnvironmentChange
from injector.patch.no_proxy import NO_PROXIES
from injector.patch.pod_uid import is_addition

ContainerRef = tuple[str, int]
"""A container's field in the spec, and its index there as the pod arrived."""

AppContainers = Sequence[tuple[ContainerRef, Object]]

MAX_UTF8_BYTES = 4
"""Of one character."""

MAX_STATUS_BYTES = 64 * 1024
MAX_ANNOTATIONS_BYTES = 256 * 1024
"""Keys and values together: the API server refuses an object that has more.

https://github.com/kubernetes/kubernetes/blob/v1.34.4/staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go
"""


class ContainerRecord(NamedTuple):
    """What podrole added to the environment of one container."""

    added: Mapping[str, str]
    """Variables and their values; the field for the one that has `valueFrom`."""

    appended: Mapping[str, str]
    """The author's variables, and the text that was appended to the value of each."""

    filled: Mapping[str, str]
    """The author's variables without a value, and the value of each."""


FILLED_VARIABLES = ADDED_VARIABLES - {*NO_PROXIES}
"""Variables that get a value if they have none; text is appended to the others."""

RECORD_KEYS = ("env", "appended", "filled")
"""How the annotation names the fields of a ContainerRecord."""

Records = Mapping[str, ContainerRecord]
"""By container, see `label_containers`; containers to which nothing was added are left out."""


def find_app_containers(pod: Object) -> AppContainers:
    """Find all containers but podrole's."""
    spec = read_spec(pod)
    return [
        ((field, index), container)
        for field in CONTAINER_FIELDS
        for index, container in enumerate(read_objects(spec, field))
        if not is_reserved(container)
    ]


def label_containers(containers: AppContainers) -> Iterator[tuple[str, ContainerRef, Object]]:
    """Yield each container with its name.

    A name that is missing or not unique is replaced by a position; the API server refuses such a pod.
    """
    names = [read_name(container) for _, container in containers]
    counts: Mapping[str, int] = Counter(names) if len({*names}) < len(names) else {}
    positions = dict.fromkeys(CONTAINER_FIELDS, 0)
    for name, (ref, container) in zip(names, containers, strict=True):
        field, _ = ref
        yield f"{field}[{positions[field]}]" if counts.get(name, 1) > 1 else name, ref, container
        positions[field] += 1


def read_records(pod: Object) -> Records | None:
    """Read what was added to each container; None where an injected pod does not record it."""
    with suppress(AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return _parse_records(read_added(pod))
    names = [container.get("name") for container in read_objects(read_spec(pod), "initContainers")]
    return None if contract.SIDECAR_CONTAINER in names else {}


def build_records(
    pod: Object, containers: AppContainers, environment: Mapping[ContainerRef, EnvironmentChange]
) -> Records | None:
    """Combine what the pod's record says with what an injection adds now."""
    earlier = read_records(pod)
    if earlier is None:
        return None
    if not earlier and not environment:
        return {}
    records = {
        label: _build_record(container, environment.get(ref, UNCHANGED), earlier.get(label))
        for label, ref, container in label_containers(containers)
        if ref in environment or label in earlier
    }
    return {label: record for label, record in records.items() if any(record)}


def format_status(status: Mapping[str, Any], added: Mapping[str, Any], records: Records | None, pod: Object) -> str:
    """Format the annotation's value. If the records make it too long, they are replaced by null."""
    containers = None if records is None else {label: _format_record(record) for label, record in records.items()}
    if records and sum(map(len, records)) > MAX_STATUS_BYTES:  # names of containers, which nothing has checked yet
        containers = None
    text = _format_json({**status, "added": {**added, "containers": containers}})
    if containers and not _fits(text, pod):
        return _format_json({**status, "added": {**added, "containers": None}})
    return text


def _format_json(document: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(document).decode()
    except TypeError:  # half of a surrogate pair in a container's name: valid JSON, but not UTF-8
        return json.dumps(document, separators=(",", ":"))


def read_added(pod: Object) -> Any:
    """What the annotation says under `added`; an exception means that podrole did not write it."""
    text = read_mapping(read_mapping(pod, "metadata"), "annotations")[STATUS_ANNOTATION]
    if len(text) > MAX_STATUS_BYTES:
        raise ValueError("longer than any status that podrole writes")
    return json.loads(text)["added"]


def _parse_records(added: Any) -> Records | None:
    containers = added["containers"]
    if containers is None:
        return None
    return {label: _parse_record(record) for label, record in containers.items()}


def _parse_record(record: Mapping[str, Any]) -> ContainerRecord:
    parsed = ContainerRecord(*(record.get(key, {}) for key in RECORD_KEYS))
    if not all(isinstance(value, str) for part in parsed for value in part.values()):
        raise TypeError(record)
    return parsed


def _build_record(container: Object, change: EnvironmentChange, earlier: ContainerRecord | None) -> ContainerRecord:
    if not (earlier or change.replacements):  # most containers
        return ContainerRecord(change.additions, {}, {})
    added, appended, filled = _find_unchanged(container, earlier) if earlier else ({}, {}, {})
    env = read_objects(container, "env") if change.replacements or change.removed else ()
    for index in change.removed:
        added.pop(read_name(env[index]), None)
    added |= change.additions
    for index, value in (change.replacements or {}).items():
        name, old = str(env[index]["name"]), str(env[index].get("value") or "")
        if name in added:
            added[name] = value
        elif name in FILLED_VARIABLES and "value" not in env[index]:
            filled[name] = value
        else:
            appended[name] = appended.get(name, "") + value.removeprefix(old)
    return ContainerRecord(added, appended, filled)


def _find_unchanged(container: Object, earlier: ContainerRecord) -> Sequence[dict[str, str]]:
    variables: dict[str, list[Object]] = {}
    for variable in read_objects(container, "env"):
        variables.setdefault(read_name(variable), []).append(variable)
    values = {name: read_name(same[-1], "value") for name, same in variables.items() if name in ADDED_VARIABLES}
    added = {
        name: value
        for name, value in earlier.added.items()
        if name in values and any(is_addition(variable, name, value) for variable in variables[name])
    }
    appended = {
        name: suffix
        for name, suffix in earlier.appended.items()
        if suffix and name not in added and _is_appended(name, suffix, values.get(name, ""))
    }
    filled = {
        name: value
        for name, value in earlier.filled.items()
        if value and name in FILLED_VARIABLES and name not in {*added, *appended} and values.get(name) == value
    }
    return added, appended, filled


def _is_appended(name: str, suffix: str, value: str) -> bool:
    """Whether podrole appends such text: to lists, and to empty variables."""
    return value.endswith(suffix) if name in NO_PROXIES else value == suffix and name in FILLED_VARIABLES


def _format_record(record: ContainerRecord) -> Mapping[str, Any]:
    return {key: part for key, part in zip(RECORD_KEYS, record, strict=True) if part}


def _fits(text: str, pod: Object) -> bool:
    annotations = read_mapping(read_mapping(pod, "metadata"), "annotations")
    others = [part for key, value in annotations.items() if key != STATUS_ANNOTATION for part in (key, str(value))]
    parts = (STATUS_ANNOTATION, text, *others)
    characters = sum(map(len, parts))
    if characters * MAX_UTF8_BYTES <= MAX_STATUS_BYTES:  # nearly every pod: nothing has to be encoded
        return True
    if characters > MAX_ANNOTATIONS_BYTES or len(text) > MAX_STATUS_BYTES:
        return False
    return sum(len(part.encode(errors="surrogatepass")) for part in parts) <= MAX_ANNOTATIONS_BYTES
