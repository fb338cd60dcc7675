"""Finds keys that have no effect: misspelt ones, labels in place of annotations, and keys of another kind of object."""

import difflib
from collections.abc import Collection, Iterator

from injector.decision.foreign_keys import find_foreign_remedy
from injector.k8s.objects import Metadata, Object, read_mapping
from injector.metadata_keys import (
    INJECT_LABEL,
    INJECTION_LABEL,
    IRSA_ROLE,
    LEFT_OUT,
    POD_ANNOTATIONS,
    PREFIX,
    WRITTEN_KEYS,
)
from injector.reasons import Explanation, Reason
from injector.similar_keys import ANNOTATIONS, LABELS, ROLE_KEYS, find_meant, may_be_meant

KNOWN_KEYS = tuple(key for key in POD_ANNOTATIONS if key.startswith(PREFIX))
MAX_KEY_NAME = 63
"""Characters after the prefix that Kubernetes accepts in a key. It checks them only after mutating webhooks."""

MAX_EXAMINED = 10
"""Keys of one map that are compared with podrole's."""

READ_KEYS = {
    noun: {kind: frozenset((*keys, *WRITTEN_KEYS[noun])) for kind, keys in table.items()}
    for noun, table in (("annotation", ANNOTATIONS), ("label", LABELS))
}
"""By noun and kind of object: the keys that are right there."""


def find_unknown_keys(metadata: Metadata, kind: str) -> Iterator[Explanation]:
    """Explain each annotation and label of a pod, ServiceAccount or namespace that looks like podrole's and is not."""
    if not metadata.annotations.keys() <= READ_KEYS["annotation"][kind]:
        yield from _find(metadata.annotations, "annotation", kind)
    if not metadata.labels.keys() <= READ_KEYS["label"][kind]:
        yield from _find(metadata.labels, "label", kind)


def find_workload_keys(workload: Object, kind: str, pod: Object, path: str) -> Iterator[Explanation]:
    """Explain the keys of a workload's own metadata that belong to its pods, which `path` describes."""
    metadata, pod_metadata = read_mapping(workload, "metadata"), read_mapping(pod, "metadata")
    for noun in ("annotation", "label"):
        of_pod = read_mapping(pod_metadata, f"{noun}s")
        keys = [key for key in map(str, read_mapping(metadata, f"{noun}s")) if key not in of_pod]
        for key in _list_candidates(keys, WRITTEN_KEYS[noun])[:MAX_EXAMINED]:
            meant = find_meant(key)
            place = _choose_place(meant, "pod") if meant else ("", "", "")
            if place[2] == "pod":
                where, remedy = f"{noun.capitalize()} {key} of the {kind}", f"Set the {place[0]} {place[1]} in {path}."
                yield Reason.KEY_WITHOUT_EFFECT.explain(where=where, remedy=remedy)


def _find(keys: Collection[str], noun: str, kind: str) -> Iterator[Explanation]:
    candidates = _list_candidates(keys, READ_KEYS[noun][kind])
    for key in candidates[:MAX_EXAMINED]:
        yield from _explain(key, noun, kind)
    if others := sum(key.startswith(PREFIX) for key in candidates[MAX_EXAMINED:]):
        yield Reason.MORE.explain(count=str(others))


def _list_candidates(keys: Collection[str], known: Collection[str]) -> list[str]:
    return [key for key in keys if (key.startswith(PREFIX) or may_be_meant(key)) and key not in known]


def _explain(key: str, noun: str, kind: str) -> Iterator[Explanation]:
    where = f"{noun.capitalize()} {key} of the {kind}"
    if meant := find_meant(key):
        right_noun, right_key, right_kind = _choose_place(meant, kind)
        is_same_place = (right_noun, right_kind) == (noun, kind)
        right = right_key if is_same_place else f"the {right_noun} {right_key} of the {right_kind}"
        reason = Reason.UNKNOWN_ANNOTATION if noun == "annotation" and meant != key else Reason.KEY_WITHOUT_EFFECT
        yield reason.explain(where=where, remedy=f"Did you mean {right}?")
    elif noun == "annotation" and (remedy := find_foreign_remedy(key, kind)):
        yield Reason.KEY_WITHOUT_EFFECT.explain(where=where, remedy=remedy)
    elif key.startswith(PREFIX) and noun == "annotation":
        yield Reason.UNKNOWN_ANNOTATION.explain(where=where, remedy=_suggest(key, kind))


def _choose_place(meant: str, kind: str) -> tuple[str, str, str]:
    """Annotation or label, its key, and the kind of object it belongs to."""
    if meant == INJECT_LABEL and kind == "namespace":
        meant = INJECTION_LABEL
    if meant in {*ROLE_KEYS.values(), IRSA_ROLE}:
        is_irsa = meant == IRSA_ROLE and kind == "ServiceAccount"
        return "annotation", IRSA_ROLE if is_irsa else ROLE_KEYS[kind], kind
    places = [
        (noun, meant, one)
        for noun, table in (("annotation", ANNOTATIONS), ("label", LABELS))
        for one, keys in table.items()
        if meant in keys
    ]
    return next((place for place in places if place[2] == kind), places[0])


def _suggest(key: str, kind: str) -> str:
    known = [one for one in ANNOTATIONS[kind] if one.startswith(PREFIX)] or list(KNOWN_KEYS)
    name = key.removeprefix(PREFIX)
    names = [one.removeprefix(PREFIX) for one in known]
    nearest = difflib.get_close_matches(name, names, n=1) if len(name) <= MAX_KEY_NAME else ()
    return f"Did you mean {PREFIX}{nearest[0]}?" if nearest else f"The known annotations are {', '.join(known)}."


def is_left_out(namespace: Metadata) -> bool:
    """Whether the label says on purpose that podrole leaves the namespace alone."""
    return namespace.labels.get(INJECTION_LABEL) in LEFT_OUT


def find_injection_label(namespace: Metadata) -> str:
    """What a namespace without the label has instead, as in `podrole.io/injection: "true"`; empty where nothing."""
    keys = [INJECTION_LABEL, *(key for key in namespace.labels if find_meant(key) in {INJECTION_LABEL, INJECT_LABEL})]
    if is_left_out(namespace):
        return ""
    found = [f'the label {key}: "{namespace.labels[key]}"' for key in keys if key in namespace.labels]
    if INJECTION_LABEL in namespace.annotations:
        found.append(f"the annotation {INJECTION_LABEL}")
    return found[0] if found else ""
