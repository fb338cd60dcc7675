"""The labels of injected pods, so that `kubectl get pods --selector` finds them."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

import contract
from contract.modes import Mode
from injector.k8s.objects import Object, read_mapping, read_owner
from injector.metadata_keys import MODE, STATUS_ANNOTATION, VERSION_LABEL, WRITTEN_LABELS
from injector.patch.injection_record import read_added
from injector.reasons import Explanation, Reason

LABELS: Mapping[Mode, Mapping[str, str]] = {mode: {MODE: mode.value, VERSION_LABEL: contract.VERSION} for mode in Mode}


KEPT_LABELS = "keptLabels"
"""In the status annotation of a pod template, under `added`."""


def choose_labels(pod: Object, mode: Mode, *, is_template: bool) -> Mapping[str, str]:
    """The labels to set. A pod of a controller keeps those that it has, and a pod template those of its author.

    The controller can select by them, and would not recognise its pod and create another one, without end.
    """
    if is_template:
        kept: Collection[str] = find_kept(pod)
    elif read_owner(pod) is None:
        kept = ()
    else:
        kept = read_mapping(read_mapping(pod, "metadata"), "labels")
    return {key: value for key, value in LABELS[mode].items() if key not in kept}


def find_kept(template: Object) -> list[str]:
    """The keys that the author of a pod template wrote: an earlier injection lists those that it kept."""
    metadata = read_mapping(template, "metadata")
    labels = read_mapping(metadata, "labels")
    present = [key for key in WRITTEN_LABELS if key in labels]
    if not present or STATUS_ANNOTATION not in read_mapping(metadata, "annotations"):
        return present
    recorded: object = ()
    with suppress(AttributeError, KeyError, TypeError, ValueError, RecursionError):
        recorded = read_added(template).get(KEPT_LABELS)
    return [key for key in present if isinstance(recorded, list) and key in recorded]


def warn_label(pod: Object, mode: Mode) -> Iterator[Explanation]:
    """Warn about a label that stands where the annotation of the same name was meant."""
    metadata = read_mapping(pod, "metadata")
    is_meant = mode != Mode.ENV and read_mapping(metadata, "labels").get(MODE) == Mode.ENV
    if is_meant and STATUS_ANNOTATION not in read_mapping(metadata, "annotations"):  # else of an earlier injection
        remedy = f"It is meant to show the mode that podrole chose. The annotation {MODE} asks for env mode."
        yield Reason.KEY_WITHOUT_EFFECT.explain(where=f"Label {MODE} of the pod", remedy=remedy)
