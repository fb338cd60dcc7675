"""Finds misspelt annotations of a pod, which have no effect."""

import difflib
from collections.abc import Iterator, Mapping

from injector.explanations import explain_each
from injector.metadata_keys import POD_ANNOTATIONS, PREFIX, STATUS_ANNOTATION
from injector.reasons import Explanation, Reason

KNOWN_KEYS = tuple(key for key in POD_ANNOTATIONS if key.startswith(PREFIX))
MAX_KEY_NAME = 63
"""Characters after the prefix that Kubernetes accepts in a key. It checks them only after mutating webhooks."""


def find_unknown_keys(annotations: Mapping[str, str]) -> Iterator[Explanation]:
    """Explain each key with our prefix that podrole does not know."""
    known = {STATUS_ANNOTATION, *KNOWN_KEYS}
    unknown = [key for key in annotations if key.startswith(PREFIX) and key not in known]
    yield from explain_each(unknown, _explain_unknown_key)


def _explain_unknown_key(key: str) -> Explanation:
    names = [known.removeprefix(PREFIX) for known in KNOWN_KEYS]
    name = key.removeprefix(PREFIX)
    nearest = difflib.get_close_matches(name, names, n=1) if len(name) <= MAX_KEY_NAME else ()
    all_keys = f"The known annotations are {', '.join(KNOWN_KEYS)}."
    remedy = f"Did you mean {PREFIX}{nearest[0]}?" if nearest else all_keys
    return Reason.UNKNOWN_ANNOTATION.explain(key=key, remedy=remedy)
