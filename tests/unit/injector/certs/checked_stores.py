"""One replica's access to Secret and configuration: it pauses around each request, and checks each write."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from injector.certs.ca_store import SINCE_ANNOTATION, Document, parse_secret
from injector.certs.cluster_clock import MAX_SKEW_SECONDS
from testing.stored_object import StoredObject

if TYPE_CHECKING:
    from tests.unit.injector.certs.rotation_model import Replica

REQUEST_SECONDS = 1


@dataclass
class Access:
    """One replica's access to one object. It pauses before each request, and after each write."""

    replica: "Replica"
    stored: StoredObject

    @property
    def description(self) -> str:
        return self.stored.description

    def wait_for_change(self, _resource_version: str, _seconds: int) -> bool:
        return True

    def _read(self) -> Document | None:
        self.replica.pause()
        self.replica.cluster.now += REQUEST_SECONDS
        return self.stored.read()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        assert abs(self.replica.clock_error) <= MAX_SKEW_SECONDS, "a replica with a wrong clock writes"
        self.replica.pause()
        self.replica.cluster.now += REQUEST_SECONDS
        yield
        self.replica.cluster.check_accepted()
        self.replica.pause()


class SecretAccess(Access):
    """The Secret."""

    def read(self) -> Document | None:
        document = self._read()
        self.replica.looked_at = self.replica.configuration_read_at
        return document

    def write(self, document: Document) -> None:
        with self._writing():
            self.stored.write(document)
            check_secret(document, self.replica.cluster.ca_keys)


class ConfigurationAccess(Access):
    """The webhook configuration."""

    def read(self) -> Document | None:
        document = self._read()
        self.replica.configuration_read_at = self.replica.cluster.now
        return document

    def patch(self, change: Document) -> None:
        read_at, cluster = self.replica.configuration_read_at, self.replica.cluster
        since = datetime.fromisoformat(change["metadata"]["annotations"][SINCE_ANNOTATION]).timestamp()
        assert read_at <= since <= cluster.now, "the annotation is not the time of the patch"
        with self._writing():
            self.stored.patch(change)
            cluster.update_accepted()


def check_secret(document: Document, ca_keys: set[str]) -> None:
    """A replica writes only complete Secrets, with the key of the newest CA and no key of an old one."""
    secret = parse_secret(document)
    assert secret.ca
    assert secret.find_issuer(secret.pair), "the serving certificate is not of a CA in the Secret"
    assert secret.ca.certificate == secret.cas[0]
    assert list(secret.cas) == sorted(secret.cas, key=lambda ca: ca.issued, reverse=True), "not newest first"
    ca_keys.add(secret.ca.key_pem)
    stored = "".join(base64.b64decode(value).decode() for value in document["data"].values())
    assert not [key for key in ca_keys - {secret.ca.key_pem} if key in stored], "the key of an old CA is kept"
