"""The annotations and labels that users set, parsed into one frozen value and all errors."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import contract
from contract import value_types
from contract.modes import CredentialSource
from contract.value_types import ValueType
from injector.config import Config
from injector.decision.roles import parse_role
from injector.decision.session_tags import find_tag_problems
from injector.decision.sidecar_resources import Resources, find_resource_errors, parse_sidecar_resources
from injector.decision.unknown_annotations import find_unknown_keys
from injector.decision.value_limits import find_oversized
from injector.explanations import limit_explanations
from injector.k8s.objects import Metadata
from injector.metadata_keys import (
    AUDIENCE,
    DEFAULT_ROLE,
    EXTERNAL_ID,
    IMDS_TOKENS,
    INJECT_LABEL,
    INTERMEDIATE_ROLE,
    IRSA_ROLE,
    METADATA_PASSTHROUGH,
    MODE,
    ROLE,
    SESSION_DURATION,
    SESSION_NAME,
    SESSION_TAGS,
)
from injector.reasons import Explanation, InvalidRoleError, Reason
from injector.value_types import AUDIENCE as AUDIENCE_TYPE
from injector.value_types import OverrideName

SESSION_TAGS_TYPE = ValueType("TAGS", r"(?s).*", "key=value,key=value")
"""`session_tags.find_tag_problems` checks them."""


class PodAnnotation(NamedTuple):
    """An annotation of a pod whose value becomes a variable of the pod's sidecar."""

    key: str
    variable: str
    type: ValueType
    needs_intermediate_role: bool = False
    """Whether this is a parameter of AssumeRole, but not of AssumeRoleWithWebIdentity."""


POD_ANNOTATIONS = (
    PodAnnotation(SESSION_NAME, contract.ENV_SESSION_NAME, value_types.SESSION_NAME),
    PodAnnotation(SESSION_DURATION, contract.ENV_SESSION_DURATION, value_types.seconds(1800, 43200)),
    PodAnnotation(IMDS_TOKENS, contract.ENV_IMDS_TOKENS, value_types.IMDS_TOKENS),
    PodAnnotation(EXTERNAL_ID, contract.ENV_EXTERNAL_ID, value_types.EXTERNAL_ID, needs_intermediate_role=True),
    PodAnnotation(SESSION_TAGS, contract.ENV_SESSION_TAGS, SESSION_TAGS_TYPE, needs_intermediate_role=True),
)


class Override(NamedTuple):
    """A label or annotation that weakens the protection of the node's role if it has the value `unsafe_value`."""

    name: OverrideName
    kind: str
    key: str
    unsafe_value: str
    safe_value: str


OVERRIDES = (
    Override(OverrideName.INJECT, "label", INJECT_LABEL, unsafe_value="false", safe_value="true"),
    Override(OverrideName.MODE, "annotation", MODE, unsafe_value="env", safe_value="redirect"),
    Override(
        OverrideName.METADATA_PASSTHROUGH,
        "annotation",
        METADATA_PASSTHROUGH,
        unsafe_value="true",
        safe_value="false",
    ),
)


class PodSettings(NamedTuple):
    """What pod, ServiceAccount and namespace set together."""

    role_arn: str | None
    role_reason: Reason
    intermediate_role: str | None
    sidecar_env: Mapping[str, str]
    """Variable and value of each of POD_ANNOTATIONS that the pod has."""

    overrides: frozenset[OverrideName]
    """The overrides that the pod uses and the operator allows."""

    sidecar_resources: Resources
    """What the annotations set instead of the template."""

    audience: str
    """Of the pod's token: what its ServiceAccount sets, else the operator's default."""

    @property
    def passes_metadata(self) -> bool:
        """Whether the sidecar serves some of the node's metadata."""
        return OverrideName.METADATA_PASSTHROUGH in self.overrides

    def reaches_node(self, config: Config) -> bool:
        """Whether the sidecar's user can reach the node's metadata service."""
        return self.passes_metadata or config.credential_source == CredentialSource.NODE


class ParsedAnnotations(NamedTuple):
    """The settings, and the problems of the annotations."""

    settings: PodSettings
    errors: tuple[Explanation, ...]
    warnings: tuple[Explanation, ...]


def parse_annotations(
    pod: Metadata, namespace: Metadata, service_account: Metadata | None, config: Config
) -> ParsedAnnotations:
    """Parse all annotations of a pod and its context.

    The role comes from the first of these that is present and not empty; the others are not read:

    | on             | key                            |
    |----------------|--------------------------------|
    | pod            | iam.amazonaws.com/role         |
    | ServiceAccount | iam.amazonaws.com/role         |
    | ServiceAccount | eks.amazonaws.com/role-arn     |
    | namespace      | podrole.io/default-role        |
    """
    if oversized := find_oversized(pod, namespace, service_account):
        nothing = PodSettings(None, Reason.NO_ROLE, None, {}, frozenset(), {}, config.audience)
        return ParsedAnnotations(nothing, limit_explanations(oversized), ())
    sources = (
        (pod, ROLE, "pod", Reason.ROLE_FROM_POD),
        (service_account, ROLE, "ServiceAccount", Reason.ROLE_FROM_SERVICE_ACCOUNT),
        (service_account, IRSA_ROLE, "ServiceAccount", Reason.ROLE_FROM_SERVICE_ACCOUNT),
        (namespace, DEFAULT_ROLE, "namespace", Reason.ROLE_FROM_NAMESPACE),
    )
    used = frozenset(override.name for override in OVERRIDES if _read(pod, override) == override.unsafe_value)
    errors = [
        *_find_override_errors(pod, config.allow_overrides),
        *_find_invalid_values(pod.annotations),
        *_find_chain_errors(pod.annotations, namespace, config),
        *_find_audience_errors(service_account),
        *find_resource_errors(pod, namespace, config),
    ]

    def parse(metadata: Metadata, key: str, kind: str) -> str | None:
        try:
            return parse_role(metadata.annotations[key], f"annotation {key} of the {kind}", config)
        except InvalidRoleError as error:
            errors.append(error.explanation)
            return None

    role_arn, role_reason = None, Reason.NO_ROLE
    for metadata, key, kind, reason in sources:
        if metadata is not None and metadata.annotations.get(key):
            role_arn, role_reason = parse(metadata, key, kind), reason
            break
    is_chained = bool(namespace.annotations.get(INTERMEDIATE_ROLE))
    settings = PodSettings(
        role_arn=role_arn,
        role_reason=role_reason,
        intermediate_role=parse(namespace, INTERMEDIATE_ROLE, "namespace") if is_chained else None,
        sidecar_env={one.variable: pod.annotations[one.key] for one in POD_ANNOTATIONS if one.key in pod.annotations},
        overrides=used & config.allow_overrides,
        sidecar_resources={} if errors else parse_sidecar_resources(pod, namespace),
        audience=_read_audience(service_account) or config.audience,
    )
    warnings = [*find_unknown_keys(pod, "pod"), *find_unknown_keys(namespace, "namespace")]
    if service_account is not None:
        warnings += find_unknown_keys(service_account, "ServiceAccount")
    return ParsedAnnotations(settings, tuple(errors), tuple(warnings))


def _read(pod: Metadata, override: Override) -> str | None:
    return (pod.labels if override.kind == "label" else pod.annotations).get(override.key)


def _read_audience(service_account: Metadata | None) -> str | None:
    """Return what a ServiceAccount sets; an empty value sets nothing: it would be the API server's audience."""
    return service_account.annotations.get(AUDIENCE) or None if service_account is not None else None


def _find_audience_errors(service_account: Metadata | None) -> Iterator[Explanation]:
    value = _read_audience(service_account)
    if value is not None and not AUDIENCE_TYPE.accepts(value):
        where = f"annotation {AUDIENCE} of the ServiceAccount"
        yield Reason.INVALID_VALUE.explain(where=where, value=value, expected=AUDIENCE_TYPE.expected)


def _find_override_errors(pod: Metadata, allowed: frozenset[OverrideName]) -> Iterator[Explanation]:
    for override in OVERRIDES:
        value = _read(pod, override)
        if value is None or value == override.safe_value:
            continue
        where = f"{override.kind} {override.key} of the pod"
        if value != override.unsafe_value:
            expected = f'"{override.safe_value}" or "{override.unsafe_value}"'
            yield Reason.INVALID_VALUE.explain(where=where, value=value, expected=expected)
        elif override.name not in allowed:
            yield Reason.OVERRIDE_NOT_ALLOWED.explain(where=where, value=value)


def _find_invalid_values(annotations: Mapping[str, str]) -> Iterator[Explanation]:
    for key, _, type_, _ in POD_ANNOTATIONS:
        value = annotations.get(key)
        if value is not None and not type_.accepts(value):
            yield Reason.INVALID_VALUE.explain(where=_name(key), value=value, expected=type_.expected)
    for problem in find_tag_problems(annotations[SESSION_TAGS]) if SESSION_TAGS in annotations else ():
        yield Reason.INVALID_SESSION_TAGS.explain(where=_name(SESSION_TAGS), problem=problem)


def _find_chain_errors(annotations: Mapping[str, str], namespace: Metadata, config: Config) -> Iterator[Explanation]:
    """Find annotations that need role chaining, or that it does not allow."""
    if namespace.annotations.get(INTERMEDIATE_ROLE):
        by = f"{INTERMEDIATE_ROLE} of the namespace"
    elif config.credential_source == CredentialSource.NODE:
        by = "the node's role"
    else:
        for key, _, _, needs_intermediate_role in POD_ANNOTATIONS:
            if needs_intermediate_role and key in annotations:
                yield Reason.INTERMEDIATE_ROLE_REQUIRED.explain(where=_name(key))
        return
    duration = annotations.get(SESSION_DURATION, "")
    is_duration = value_types.SESSION_DURATION.accepts(duration)
    if is_duration and int(duration) > contract.MAX_CHAINED_SECONDS:
        yield Reason.SESSION_DURATION_TOO_LONG.explain(where=_name(SESSION_DURATION), value=duration, by=by)


def _name(key: str) -> str:
    return f"annotation {key} of the pod"
