"""What the reconcile loop needs of the Secret and of the webhook configurations."""

from dataclasses import dataclass
from typing import Protocol

from injector.certs.ca_store import Document


class SecretStore(Protocol):
    """Access to the Secret: `injector.k8s.secret`."""

    @property
    def description(self) -> str:
        """Kind, namespace and name, for messages."""

    def read(self) -> Document | None:
        """Return the Secret, or None if it does not exist."""

    def write(self, document: Document) -> None:
        """Create or replace the Secret; raise ConflictError if it was changed since it was read."""


class ConfigurationStore(Protocol):
    """Access to the webhook configuration: `injector.k8s.webhook_configuration`."""

    @property
    def description(self) -> str:
        """Kind and name, for messages."""

    def read(self) -> Document | None:
        """Return the configuration, or None if it does not exist."""

    def patch(self, change: Document) -> None:
        """Apply a strategic merge patch; raise ConflictError if the object was changed since it was read."""

    def wait_for_change(self, resource_version: str, seconds: int) -> bool:
        """Wait for a newer version than this, for at most so many seconds; return whether there is one."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The objects, each with its own connection."""

    secret: SecretStore
    configuration: ConfigurationStore
    """Of the webhook that pods wait for."""

    warnings: ConfigurationStore | None = None
    """Of the webhook that only warns."""
