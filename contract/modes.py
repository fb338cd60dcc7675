"""Values that the injector and the sidecar both name."""

from enum import StrEnum


class Mode(StrEnum):
    """How a pod gets credentials."""

    REDIRECT = "redirect"
    """Requests to the metadata addresses are redirected to the sidecar."""

    ENV = "env"
    """Environment variables of the app containers name the sidecar."""

    BLOCK = "block"
    """The pod has no role: requests to the metadata addresses fail."""


class CredentialSource(StrEnum):
    """The identity that assumes the pod's role, or the first role of a chain."""

    WEB_IDENTITY = "web-identity"
    """The pod's ServiceAccount token."""

    NODE = "node"
    """The node's role. Unsafe."""
