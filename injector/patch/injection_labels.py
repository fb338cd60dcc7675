"""The labels of injected pods, so that `kubectl get pods --selector` finds them."""

from collections.abc import Iterator, Mapping

import contract
from contract.modes import Mode
from injector.k8s.objects import Object, read_mapping, read_owner
from injector.metadata_keys import MODE, STATUS_ANNOTATION, VERSION_LABEL
from injector.reasons import Explanation, Reason

LABELS: Mapping[Mode, Mapping[str, str]] = {mode: {MODE: mode.value, VERSION_LABEL: contract.VERSION} for mode in Mode}


def choose_labels(pod: Object, mode: Mode) -> Mapping[str, str]:
    """The labels to set. A pod of a controller keeps those that it has.

    The controller can select by them, and would not recognise its pod and create another one, without end.
    """
    if read_owner(pod) is None:
        return LABELS[mode]
    present = read_mapping(read_mapping(pod, "metadata"), "labels")
    return {key: value for key, value in LABELS[mode].items() if key not in present}


def warn_label(pod: Object, mode: Mode) -> Iterator[Explanation]:
    """Warn about a label that stands where the annotation of the same name was meant."""
    metadata = read_mapping(pod, "metadata")
    is_meant = mode != Mode.ENV and read_mapping(metadata, "labels").get(MODE) == Mode.ENV
    if is_meant and STATUS_ANNOTATION not in read_mapping(metadata, "annotations"):  # else of an earlier injection
        remedy = f"It is meant to show the mode that podrole chose. The annotation {MODE} asks for env mode."
        yield Reason.KEY_WITHOUT_EFFECT.explain(where=f"Label {MODE} of the pod", remedy=remedy)
