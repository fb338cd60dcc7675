"""Finds the values of annotations and labels that are not valid, or that this installation does not allow."""

from collections.abc import Iterator, Mapping

import contract
from contract import value_types
from contract.modes import CredentialSource
from injector.config import Config
from injector.decision.pod_settings import OVERRIDES, POD_ANNOTATIONS, read_audience
from injector.decision.session_tags import find_tag_problems
from injector.decision.sidecar_resources import find_resource_errors
from injector.k8s.objects import Metadata
from injector.metadata_keys import AUDIENCE, INTERMEDIATE_ROLE, SESSION_DURATION, SESSION_TAGS
from injector.reasons import Explanation, Reason
from injector.value_types import AUDIENCE as AUDIENCE_TYPE
from injector.value_types import OverrideName


def find_errors(
    pod: Metadata, namespace: Metadata, service_account: Metadata | None, config: Config
) -> Iterator[Explanation]:
    """Find all errors but those of roles."""
    yield from _find_override_errors(pod, config.allow_overrides)
    yield from _find_invalid_values(pod.annotations)
    yield from _find_chain_errors(pod.annotations, namespace, config)
    yield from _find_audience_errors(service_account)
    yield from find_resource_errors(pod, namespace, config)


def _find_audience_errors(service_account: Metadata | None) -> Iterator[Explanation]:
    value = read_audience(service_account)
    if value is not None and not AUDIENCE_TYPE.accepts(value):
        where = f"annotation {AUDIENCE} of the ServiceAccount"
        yield Reason.INVALID_VALUE.explain(where=where, value=value, expected=AUDIENCE_TYPE.expected)


def _find_override_errors(pod: Metadata, allowed: frozenset[OverrideName]) -> Iterator[Explanation]:
    for override in OVERRIDES:
        value = override.read(pod)
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
