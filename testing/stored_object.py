"""An object of an API server in memory, which checks the resourceVersion of each write."""

import json
from dataclasses import dataclass

from injector.certs.ca_store import Document
from injector.errors import ConflictError

WEBHOOKS = ("pods.podrole.io", "more.podrole.io")


@dataclass
class StoredObject:
    """One object. `description` is its kind and name."""

    description: str
    document: Document | None = None
    version: int = 0

    def read(self) -> Document | None:
        return _copy(self.document)

    def write(self, document: Document) -> None:
        """Create or replace the object; ConflictError if the resourceVersion is not the current one."""
        current = self.document["metadata"]["resourceVersion"] if self.document else None
        if document["metadata"].get("resourceVersion") != current:
            raise ConflictError(f"{self.description} has been modified")
        self.force(document)

    def force(self, document: Document | None) -> None:
        """Replace the object without a check, or delete it."""
        self.version += 1
        self.document = _copy(document)
        if self.document is not None:
            self.document["metadata"]["resourceVersion"] = str(self.version)

    def patch(self, change: Document) -> None:
        """Merge webhooks by name and annotations by key, as a strategic merge patch does."""
        document = self.read()
        if document is None or change["metadata"]["resourceVersion"] != document["metadata"]["resourceVersion"]:
            raise ConflictError(f"{self.description} has been modified")
        metadata = document["metadata"]
        metadata["annotations"] = (metadata.get("annotations") or {}) | change["metadata"]["annotations"]
        clients = {webhook["name"]: webhook["clientConfig"] for webhook in change.get("webhooks", [])}
        for webhook in document["webhooks"]:
            webhook["clientConfig"] |= clients.get(webhook["name"], {})
        self.force(document)

    def wait_for_change(self, resource_version: str, _seconds: int) -> bool:
        """Return at once, unlike an API server."""
        return resource_version != str(self.version)


def _copy(document: Document | None) -> Document | None:
    copied: Document | None = json.loads(json.dumps(document))
    return copied


def build_empty_configuration() -> Document:
    """A webhook configuration as the manifests contain it: without a caBundle."""
    webhooks = [{"name": name, "clientConfig": {"service": {"name": "podrole-injector"}}} for name in WEBHOOKS]
    return {"metadata": {"name": "podrole-injector"}, "webhooks": webhooks}
