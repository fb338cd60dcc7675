"""What users can set on pods: the annotations of the sidecar, the overrides, and what all of them are parsed into."""

from collections.abc import Mapping
from typing import NamedTuple

import contract
from contract import value_types
from contract.modes import CredentialSource
from contract.value_types import ValueType
from injector.config import Config
from injector.decision.sidecar_resources import Resources
from injector.k8s.objects import Metadata
from injector.metadata_keys import (
    AUDIENCE,
    EXTERNAL_ID,
    IMDS_TOKENS,
    INJECT_LABEL,
    METADATA_PASSTHROUGH,
    MODE,
    SESSION_DURATION,
    SESSION_NAME,
    SESSION_TAGS,
)
from injector.reasons import Reason
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

    def read(self, pod: Metadata) -> str | None:
        """The value that a pod has."""
        return (pod.labels if self.kind == "label" else pod.annotations).get(self.key)


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


def read_audience(service_account: Metadata | None) -> str | None:
    """Return what a ServiceAccount sets; an empty value sets nothing: it would be the API server's audience."""
    return service_account.annotations.get(AUDIENCE) or None if service_account is not None else None
