"""Which of podrole's keys somebody meant with a key that has no effect: misspelt, or on another kind of object. Pure.

Users can write thousands of keys, so a key is compared only if it is short and has a word that all of ours share.
"""

from collections.abc import Mapping
from functools import lru_cache

from injector.edit_distance import count_edits
from injector.metadata_keys import (
    DEFAULT_ROLE,
    INJECT_LABEL,
    INJECTION_LABEL,
    IRSA_ROLE,
    NAMESPACE_LIMITS,
    POD_ANNOTATIONS,
    PREFIX,
    ROLE,
    SERVICE_ACCOUNT_LIMITS,
)

ANNOTATIONS: Mapping[str, tuple[str, ...]] = {
    "pod": POD_ANNOTATIONS,
    "ServiceAccount": tuple(SERVICE_ACCOUNT_LIMITS),
    "namespace": tuple(NAMESPACE_LIMITS),
}
LABELS: Mapping[str, tuple[str, ...]] = {"pod": (INJECT_LABEL,), "ServiceAccount": (), "namespace": (INJECTION_LABEL,)}
"""The keys that decisions read, by the kind of object."""

KEYS = tuple(dict.fromkeys(key for table in (ANNOTATIONS, LABELS) for keys in table.values() for key in keys))
DOMAINS = frozenset(key.partition("/")[0] for key in KEYS)
DOMAIN_STARTS = (PREFIX.partition(".")[0], "iam.aws", "eks.aws")
"""Of `podrole/role`, `podrole.example.com/role` and `iam.aws.com/role`."""

IAM_DOMAIN = ROLE.partition("/")[0]
"""`foreign_keys` knows its keys of other systems."""

ROLE_KEYS = {"pod": ROLE, "ServiceAccount": ROLE, "namespace": DEFAULT_ROLE}
"""The key that sets a role, by the kind of object."""

ROLE_NAMES = {"arn", "iam-role", "iam-role-arn", "iamrole", "role", "role-arn", "role-name", "rolearn", "roles"}
"""The part after the slash of keys that mean a role, in podrole and in similar systems."""

MAX_KEY = 64
"""Characters of a key that is compared. The longest of podrole's has 31."""

MAX_EDITS = 2
"""Letters of a name that can be wrong, missing, too many or swapped."""

SHORT_NAME = 5
MAX_EDITS_OF_SHORT_NAME = 1
MAX_EDITS_OF_DOMAIN = 4
"""`amazonaws.com` and `eks.amazon.com` lack four and three characters of `eks.amazonaws.com`."""

CACHED_KEYS = 1024


def may_be_meant(key: str) -> bool:
    """Whether a key is worth a comparison. Cheap: false for nearly every key of other projects."""
    if len(key) > MAX_KEY:
        return False
    folded = key.lower()
    return "role" in folded or "amazon" in folded


@lru_cache(CACHED_KEYS)
def find_meant(key: str) -> str | None:
    """The key of podrole's that this one is or resembles; None where it resembles none."""
    if key in KEYS:
        return key
    if not may_be_meant(key):
        return None
    domain, _, name = key.lower().partition("/")
    if name in ROLE_NAMES and _is_ours(domain):
        return IRSA_ROLE if domain.startswith("eks") or "arn" in name else ROLE
    if domain != IAM_DOMAIN and (same := [one for one in KEYS if one.endswith(f"/{name}")]) and _is_ours(domain):
        return same[0]
    distances = {one: count_edits(key.lower(), one, MAX_EDITS_OF_DOMAIN + MAX_EDITS) for one in KEYS}
    nearest = min(distances, key=lambda one: distances[one])
    wanted_domain, _, wanted_name = nearest.partition("/")
    most = MAX_EDITS_OF_SHORT_NAME if len(wanted_name) <= SHORT_NAME else MAX_EDITS
    if distances[nearest] <= most:
        return nearest
    return nearest if _is_near(domain, wanted_domain) and count_edits(name, wanted_name, most) <= most else None


def _is_ours(domain: str) -> bool:
    return domain.startswith(DOMAIN_STARTS) or any(_is_near(domain, one) for one in DOMAINS)


def _is_near(domain: str, wanted: str) -> bool:
    most = MAX_EDITS if f"{wanted}/" == PREFIX else MAX_EDITS_OF_DOMAIN
    return count_edits(domain, wanted, most) <= most
