"""The keys that users write, parsed once into one frozen value with all errors collected. Nothing is decided here."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import contract
from contract.modes import CredentialSource
from injector.config import Config
from injector.decision.roles import parse_role
from injector.decision.session_tags import find_tag_problems
from injector.k8s.objects import Metadata
from injector.reasons import Explanation, InvalidRoleError, Reason

PREFIX = "podrole.io/"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
STATUS_ANNOTATION = "podrole.io/status"
"""Output only: anybody can write it, so no decision reads it."""

ROLE = "iam.amazonaws.com/role"
IRSA_ROLE = "eks.amazonaws.com/role-arn"
DEFAULT_ROLE = "podrole.io/default-role"
EXTERNAL_ID = "iam.amazonaws.com/external-id"
SESSION_NAME = "iam.amazonaws.com/session-name"
SESSION_TAGS = "podrole.io/session-tags"
SESSION_DURATION = "podrole.io/session-duration"
IMDS_TOKENS = "podrole.io/imds-tokens"

VALUES = {
    SESSION_NAME: (r"[\w+=,.@-]{2,64}", "2 to 64 of the characters A-Z a-z 0-9 _ + = , . @ -"),
    SESSION_DURATION: (
        r"1[89]\d\d|[2-9]\d{3}|[1-3]\d{4}|4[0-2]\d{3}|43[01]\d\d|43200",
        "a whole number of seconds, 1800 to 43200",
    ),
    IMDS_TOKENS: (r"required|optional", "required or optional"),
    EXTERNAL_ID: (r"[\w+=,.@:/-]{2,1224}", "2 to 1224 of the characters A-Z a-z 0-9 _ + = , . @ : / -"),
}
"""Pod annotation: what its value must match in full, and how that is said to a person."""

NEED_INTERMEDIATE_ROLE = (EXTERNAL_ID, SESSION_TAGS)
INTERMEDIATE_ROLE = "podrole.io/intermediate-role"
"""On the namespace: the role that is assumed first, and from which the pod's role is assumed."""

METADATA_PASSTHROUGH = "metadata-passthrough"
"""The name of the override."""


class Override(NamedTuple):
    """A key that opens the wall around the node's role if it has the value `unsafe_value`."""

    name: str
    """As the operator allows it in PODROLE_ALLOW_OVERRIDES."""

    kind: str
    key: str
    unsafe_value: str
    safe_value: str


OVERRIDES = (
    Override("inject", "label", "podrole.io/inject", unsafe_value="false", safe_value="true"),
    Override("mode", "annotation", "podrole.io/mode", unsafe_value="env", safe_value="redirect"),
    Override(
        METADATA_PASSTHROUGH, "annotation", "podrole.io/metadata-passthrough", unsafe_value="true", safe_value="false"
    ),
)
POD_KEYS = (
    SESSION_DURATION,
    SESSION_TAGS,
    IMDS_TOKENS,
    *(override.key for override in OVERRIDES if override.kind == "annotation"),
)


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What pod, ServiceAccount and namespace ask for together."""

    role_arn: str | None
    role_reason: Reason
    session_name: str | None
    session_duration: str | None
    """Seconds, as written: 1800 to 43200."""

    imds_tokens: str | None
    intermediate_role: str | None
    external_id: str | None
    session_tags: str | None
    """As written: `key=value,key=value`."""

    overrides: frozenset[str]
    """Names of those that the pod asks for and the operator allows."""

    errors: tuple[Explanation, ...]
    warnings: tuple[Explanation, ...]

    @property
    def passes_metadata(self) -> bool:
        """Whether the pod may have some of the node's metadata."""
        return METADATA_PASSTHROUGH in self.overrides


def parse_pod_settings(
    pod: Metadata, namespace: Metadata, service_account: Metadata | None, config: Config
) -> PodSettings:
    """Parse everything that can be asked for.

    The role comes from the first of these that is there, and only that one is looked at:

    | on             | key                            |
    |----------------|--------------------------------|
    | pod            | iam.amazonaws.com/role         |
    | ServiceAccount | iam.amazonaws.com/role         |
    | ServiceAccount | eks.amazonaws.com/role-arn     |
    | namespace      | podrole.io/default-role        |
    """
    sources = (
        (pod, ROLE, "pod", Reason.ROLE_FROM_POD),
        (service_account, ROLE, "ServiceAccount", Reason.ROLE_FROM_SERVICE_ACCOUNT),
        (service_account, IRSA_ROLE, "ServiceAccount", Reason.ROLE_FROM_SERVICE_ACCOUNT),
        (namespace, DEFAULT_ROLE, "namespace", Reason.ROLE_FROM_NAMESPACE),
    )
    asked = frozenset(override.name for override in OVERRIDES if _read(pod, override) == override.unsafe_value)
    errors = [
        *_find_override_errors(pod, config.allow_overrides),
        *_find_bad_values(pod.annotations),
        *_find_chain_errors(pod.annotations, namespace, config),
    ]

    def parse(metadata: Metadata, key: str, kind: str) -> str | None:
        try:
            return parse_role(metadata.annotations[key], f"annotation {key} of the {kind}", config)
        except InvalidRoleError as error:
            errors.append(error.explanation)
            return None

    role_arn, role_reason = None, Reason.NO_ROLE
    for metadata, key, kind, reason in sources:
        if metadata is not None and key in metadata.annotations:
            role_arn, role_reason = parse(metadata, key, kind), reason
            break
    is_chained = INTERMEDIATE_ROLE in namespace.annotations
    intermediate_role = parse(namespace, INTERMEDIATE_ROLE, "namespace") if is_chained else None
    return PodSettings(
        role_arn=role_arn,
        role_reason=role_reason,
        session_name=pod.annotations.get(SESSION_NAME),
        session_duration=pod.annotations.get(SESSION_DURATION),
        imds_tokens=pod.annotations.get(IMDS_TOKENS),
        intermediate_role=intermediate_role,
        external_id=pod.annotations.get(EXTERNAL_ID),
        session_tags=pod.annotations.get(SESSION_TAGS),
        overrides=asked & config.allow_overrides,
        errors=tuple(errors),
        warnings=tuple(_find_unknown_keys(pod.annotations)),
    )


def _read(pod: Metadata, override: Override) -> str | None:
    return (pod.labels if override.kind == "label" else pod.annotations).get(override.key)


def _find_override_errors(pod: Metadata, allowed: frozenset[str]) -> Iterator[Explanation]:
    for override in OVERRIDES:
        value = _read(pod, override)
        where = f"{override.kind} {override.key} of the pod"
        if value == override.unsafe_value and override.name not in allowed:
            yield Reason.OVERRIDE_NOT_ALLOWED.explain(where=where, value=value)
        elif value not in {None, override.safe_value, override.unsafe_value}:
            expected = f'"{override.safe_value}" or "{override.unsafe_value}"'
            yield Reason.INVALID_VALUE.explain(where=where, value=str(value), expected=expected)


def _find_bad_values(annotations: Mapping[str, str]) -> Iterator[Explanation]:
    for key, (pattern, expected) in VALUES.items():
        value = annotations.get(key)
        if value is not None and not re.fullmatch(pattern, value, re.ASCII):
            yield Reason.INVALID_VALUE.explain(where=f"annotation {key} of the pod", value=value, expected=expected)
    where = f"annotation {SESSION_TAGS} of the pod"
    for problem in find_tag_problems(annotations[SESSION_TAGS]) if SESSION_TAGS in annotations else ():
        yield Reason.INVALID_SESSION_TAGS.explain(where=where, problem=problem)


def _find_chain_errors(annotations: Mapping[str, str], namespace: Metadata, config: Config) -> Iterator[Explanation]:
    """What only a role can ask for, and what a role cannot."""
    if INTERMEDIATE_ROLE in namespace.annotations:
        by = f"{INTERMEDIATE_ROLE} of the namespace"
    elif config.credential_source == CredentialSource.NODE:
        by = "the node's role"
    else:
        for key in NEED_INTERMEDIATE_ROLE:
            if key in annotations:
                yield Reason.INTERMEDIATE_ROLE_REQUIRED.explain(where=f"annotation {key} of the pod")
        return
    duration = annotations.get(SESSION_DURATION, "")
    is_duration = re.fullmatch(VALUES[SESSION_DURATION][0], duration, re.ASCII)
    if is_duration and int(duration) > contract.MAX_CHAINED_SECONDS:
        yield Reason.SESSION_DURATION_TOO_LONG.explain(
            where=f"annotation {SESSION_DURATION} of the pod", value=duration, by=by
        )


def _find_unknown_keys(annotations: Mapping[str, str]) -> Iterator[Explanation]:
    """A typing error is the most common reason for a setting without effect."""
    names = [key.removeprefix(PREFIX) for key in POD_KEYS]
    known = f"The known annotations are {', '.join(POD_KEYS)}."
    for key in annotations:
        if key.startswith(PREFIX) and key != STATUS_ANNOTATION and key not in POD_KEYS:
            nearest = difflib.get_close_matches(key.removeprefix(PREFIX), names, n=1)
            remedy = f"Did you mean {PREFIX}{nearest[0]}?" if nearest else known
            yield Reason.UNKNOWN_ANNOTATION.explain(key=key, remedy=remedy)
