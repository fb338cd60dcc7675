"""The annotations and labels that users set, parsed into one frozen value and all errors."""

from typing import NamedTuple

from injector.config import Config
from injector.decision.annotation_errors import find_errors
from injector.decision.pod_settings import OVERRIDES, POD_ANNOTATIONS, PodSettings, read_audience
from injector.decision.roles import parse_role
from injector.decision.sidecar_resources import parse_sidecar_resources
from injector.decision.unknown_annotations import find_unknown_keys
from injector.decision.value_limits import find_oversized
from injector.explanations import limit_explanations
from injector.k8s.objects import Metadata
from injector.metadata_keys import DEFAULT_ROLE, INTERMEDIATE_ROLE, IRSA_ROLE, ROLE
from injector.reasons import Explanation, InvalidRoleError, Reason

ROLE_SOURCES = (
    ("pod", ROLE, Reason.ROLE_FROM_POD),
    ("ServiceAccount", ROLE, Reason.ROLE_FROM_SERVICE_ACCOUNT),
    ("ServiceAccount", IRSA_ROLE, Reason.ROLE_FROM_SERVICE_ACCOUNT),
    ("namespace", DEFAULT_ROLE, Reason.ROLE_FROM_NAMESPACE),
)
"""The first annotation that is present and not empty is the role; the others are not read."""


class ParsedAnnotations(NamedTuple):
    """The settings, and the problems of the annotations."""

    settings: PodSettings
    errors: tuple[Explanation, ...]
    warnings: tuple[Explanation, ...]


def parse_annotations(
    pod: Metadata, namespace: Metadata, service_account: Metadata | None, config: Config
) -> ParsedAnnotations:
    """Parse all annotations of a pod and its context."""
    if oversized := find_oversized(pod, namespace, service_account):
        nothing = PodSettings(None, Reason.NO_ROLE, None, {}, frozenset(), {}, config.audience)
        return ParsedAnnotations(nothing, limit_explanations(oversized), ())
    found = {"pod": pod, "namespace": namespace}
    if service_account is not None:
        found["ServiceAccount"] = service_account
    errors = [*find_errors(pod, namespace, service_account, config)]
    parser = _RoleParser(found, config, errors)
    role_arn, role_reason = parser.find_role()
    settings = PodSettings(
        role_arn=role_arn,
        role_reason=role_reason,
        intermediate_role=parser.parse("namespace", INTERMEDIATE_ROLE),
        sidecar_env={one.variable: pod.annotations[one.key] for one in POD_ANNOTATIONS if one.key in pod.annotations},
        overrides=config.allow_overrides & {one.name for one in OVERRIDES if one.read(pod) == one.unsafe_value},
        sidecar_resources={} if errors else parse_sidecar_resources(pod, namespace),
        audience=read_audience(service_account) or config.audience,
    )
    warnings = tuple(warning for kind, metadata in found.items() for warning in find_unknown_keys(metadata, kind))
    return ParsedAnnotations(settings, tuple(errors), warnings)


class _RoleParser(NamedTuple):
    found: dict[str, Metadata]
    """By kind."""

    config: Config
    errors: list[Explanation]
    """Those of roles are appended."""

    def find_role(self) -> tuple[str | None, Reason]:
        """The role that the pod has, and why."""
        for kind, key, reason in ROLE_SOURCES:
            if kind in self.found and self.found[kind].annotations.get(key):
                return self.parse(kind, key), reason
        return None, Reason.NO_ROLE

    def parse(self, kind: str, key: str) -> str | None:
        """The role in an annotation; None if there is none, or it is not valid."""
        text = self.found[kind].annotations.get(key)
        if not text:
            return None
        try:
            return parse_role(text, f"annotation {key} of the {kind}", self.config)
        except InvalidRoleError as error:
            self.errors.append(error.explanation)
            return None
