"""The labels and annotations that decisions read, and the limits of their values. Constants only.

Nothing else of an object's metadata is kept or parsed: a tenant can store 1.5 MiB in the metadata of each of its
objects, and the injector must decide about all of them.
"""

from collections.abc import Mapping

PREFIX = "podrole.io/"

INJECTION_LABEL = "podrole.io/injection"
INJECTION_ENABLED = "enabled"
"""The namespace label that enables injection."""

LEFT_OUT = ("disabled", "false")
"""Values of this label that enable nothing, and are meant to."""

POD_SECURITY_LABEL = "pod-security.kubernetes.io/enforce"

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
STATUS_ANNOTATION = "podrole.io/status"
"""Output only: users can change it, so no decision reads it."""

ROLE = "iam.amazonaws.com/role"
IRSA_ROLE = "eks.amazonaws.com/role-arn"
AUDIENCE = "eks.amazonaws.com/audience"
"""On the ServiceAccount: the audience of its pods' tokens."""

DEFAULT_ROLE = "podrole.io/default-role"
INTERMEDIATE_ROLE = "podrole.io/intermediate-role"
"""On the namespace: the role that is assumed first, and from which the pod's role is assumed."""

ALLOWED_ROLES = "iam.amazonaws.com/allowed-roles"
PERMITTED = "iam.amazonaws.com/permitted"

EXTERNAL_ID = "iam.amazonaws.com/external-id"
SESSION_NAME = "iam.amazonaws.com/session-name"
SESSION_TAGS = "podrole.io/session-tags"
SESSION_DURATION = "podrole.io/session-duration"
IMDS_TOKENS = "podrole.io/imds-tokens"
SIDECAR_RESOURCES = "podrole.io/sidecar-resources"
"""On the namespace or the pod."""

MODE = "podrole.io/mode"
"""As an annotation of a pod: what its author asks for. As a label: the mode that an injected pod has."""

VERSION_LABEL = "podrole.io/version"
METADATA_PASSTHROUGH = "podrole.io/metadata-passthrough"
INJECT_LABEL = "podrole.io/inject"

WRITTEN_LABELS = (MODE, VERSION_LABEL)
"""Output only, so that injected pods can be listed: users can change them, so no decision reads them."""

WRITTEN_KEYS: Mapping[str, tuple[str, ...]] = {"annotation": (STATUS_ANNOTATION,), "label": WRITTEN_LABELS}
"""Keys of injected pods that podrole writes: reserved for it, so a user's value is replaced."""

MAX_VALUE_BYTES = 4096
MAX_ALLOW_LIST_BYTES = 8192
"""Bytes of UTF-8, counted before the value is parsed. The API server accepts 256 KiB for all annotations together, but
checks that only after mutating webhooks: they see annotations of up to 3 MiB.
"""

NAMESPACE_LIMITS: Mapping[str, int] = {
    DEFAULT_ROLE: MAX_VALUE_BYTES,
    INTERMEDIATE_ROLE: MAX_VALUE_BYTES,
    ALLOWED_ROLES: MAX_ALLOW_LIST_BYTES,
    PERMITTED: MAX_ALLOW_LIST_BYTES,
    SIDECAR_RESOURCES: MAX_VALUE_BYTES,
}
SERVICE_ACCOUNT_LIMITS: Mapping[str, int] = {
    ROLE: MAX_VALUE_BYTES,
    IRSA_ROLE: MAX_VALUE_BYTES,
    AUDIENCE: MAX_VALUE_BYTES,
}
POD_ANNOTATIONS = (
    ROLE,
    EXTERNAL_ID,
    SESSION_NAME,
    SESSION_TAGS,
    SESSION_DURATION,
    IMDS_TOKENS,
    SIDECAR_RESOURCES,
    MODE,
    METADATA_PASSTHROUGH,
)
POD_LIMITS: Mapping[str, int] = dict.fromkeys(POD_ANNOTATIONS, MAX_VALUE_BYTES)
"""Annotation: the largest value in bytes. A pod whose decision reads a larger one is denied."""

NAMESPACE_LABELS = (INJECTION_LABEL, POD_SECURITY_LABEL)
"""The API server limits a label's value to 63 characters."""
