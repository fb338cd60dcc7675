"""Annotations of kube2iam's, Kiam's and IRSA's users that podrole does not read, although that changes what they get.

Others change nothing and cause no warning, such as IRSA's token-expiration. docs/migration.md has all of them.
"""

from collections.abc import Mapping

from injector.metadata_keys import PREFIX
from injector.similar_keys import ANNOTATIONS, KEYS

DOMAIN = "iam.amazonaws.com/"
"""Of kube2iam, Kiam and their forks."""

SESSION_TAG = "iam.amazonaws.com/session-tag."
SKIP_CONTAINERS = "eks.amazonaws.com/skip-containers"
REMEDIES: Mapping[str, Mapping[str, str]] = {
    "pod": {SKIP_CONTAINERS: "All containers of a pod have its role: move the others to a pod of their own."}
}
"""What to do, by the kind of object and the key."""


def find_foreign_remedy(key: str, kind: str) -> str:
    """Return what to do about a key that podrole does not read; empty for a key that can stay."""
    if key.startswith(SESSION_TAG):
        return "Use podrole.io/session-tags on the pod, with podrole.io/intermediate-role on the namespace."
    if not key.startswith(DOMAIN):
        return REMEDIES.get(kind, {}).get(key, "")
    ours = PREFIX + key.removeprefix(DOMAIN)
    return f"Did you mean {ours}?" if ours in KEYS else f"The known annotations are {', '.join(ANNOTATIONS[kind])}."
