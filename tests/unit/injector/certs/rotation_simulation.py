"""A cluster in memory whose replicas of the injector are interrupted, crash and race; and what must be true in it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from injector.certs.ca_store import Document, parse_secret, parse_webhook_configuration
from injector.certs.manager import CertManager, Stores
from injector.certs.state import RotationPolicy, ServingCert
from injector.certs.tls import MemoryTls
from injector.certs.x509 import Certificate, KeyPair
from injector.errors import ClusterError, ConflictError

LONGEST_PASS_SECONDS = 60
WEBHOOKS = ("pods.podrole.io", "more.podrole.io")


class CrashError(BaseException):
    """The process is gone, at this very line."""


@dataclass
class Stored:
    """One object of the API server: a write must name the version that it read."""

    what: str
    document: Document | None = None
    version: int = 0

    def read(self) -> Document | None:
        return _copy(self.document)

    def write(self, document: Document) -> None:
        present = self.document["metadata"]["resourceVersion"] if self.document else None
        if document["metadata"].get("resourceVersion") != present:
            raise ConflictError(f"{self.what} has been modified")
        self.force(document)

    def force(self, document: Document | None) -> None:
        self.version += 1
        self.document = _copy(document)
        if self.document is not None:
            self.document["metadata"]["resourceVersion"] = str(self.version)

    def patch(self, change: Document) -> None:
        """Merge webhooks by name and annotations by key, as the API server does."""
        document = self.read()
        if document is None or change["metadata"]["resourceVersion"] != document["metadata"]["resourceVersion"]:
            raise ConflictError(f"{self.what} has been modified")
        metadata = document["metadata"]
        metadata["annotations"] = (metadata.get("annotations") or {}) | change["metadata"]["annotations"]
        clients = {webhook["name"]: webhook["clientConfig"] for webhook in change["webhooks"]}
        for webhook in document["webhooks"]:
            webhook["clientConfig"] |= clients[webhook["name"]]
        self.force(document)


def _copy(document: Document | None) -> Document | None:
    copied: Document | None = json.loads(json.dumps(document))
    return copied


def build_empty_configuration() -> Document:
    webhooks = [{"name": name, "clientConfig": {"service": {"name": "podrole-injector"}}} for name in WEBHOOKS]
    return {"metadata": {"name": "podrole-injector"}, "webhooks": webhooks}


class WatchedTls(MemoryTls):
    """Loads nothing into OpenSSL: these tests are about which leaf is served when, and there are very many."""

    def __init__(self, replica: "Replica") -> None:
        super().__init__()
        self.replica = replica

    def install(self, pair: KeyPair) -> None:
        """Accept everything that does not come too early."""
        self.replica.check_switch(pair)


@dataclass
class Cluster:
    """Both objects, the time, and the replicas."""

    policy: RotationPolicy
    now: float
    interrupt: Callable[["Replica"], None]
    """Called around each request of a replica; may let others run, move the clock, or raise."""

    secret: Stored = field(default_factory=lambda: Stored("Secret podrole-system/podrole-injector-certs"))
    configuration: Stored = field(default_factory=lambda: Stored("MutatingWebhookConfiguration podrole-injector"))
    replicas: list["Replica"] = field(default_factory=list)
    shown_since: dict[Certificate, float] = field(default_factory=dict)
    """Which authorities API servers accept for every webhook, and since when without a break."""

    is_restored: bool = False
    """Whether the Secret came from a backup, and none has looked at it yet who knows what is served."""

    asked_to_drop: bool = False
    """Whether a person asked for the end of the old authorities: who did not look in time is left behind."""

    has_slept: bool = False
    """Whether a process stopped for long between reading its clock and its write, which then has a wrong time in it."""

    def __post_init__(self) -> None:
        self.configuration.force(build_empty_configuration())

    def start_replica(self) -> "Replica":
        replica = Replica(self)
        self.replicas.append(replica)
        return replica

    def excuse_all(self) -> None:
        """Somebody broke what replicas count on: each has one pass to bring it back."""
        for replica in self.replicas:
            replica.is_excused = True

    def note_published(self) -> None:
        ca_bundle = parse_webhook_configuration(self.configuration.document)
        bundles = ca_bundle.bundles if ca_bundle else ((),)
        shown = set.intersection(*(set(bundle) for bundle in bundles))
        self.shown_since = {ca: self.shown_since.get(ca, self.now) for ca in shown}

    def check(self) -> None:
        """No replica that API servers are sent to serves what they would not accept."""
        self.note_published()
        for replica in self.replicas:
            served = replica.served
            is_left_behind = (
                self.asked_to_drop and self.now - replica.looked_at >= self.policy.lifetimes.propagation_seconds
            )
            if is_left_behind or replica.is_excused or not replica.manager.is_ready:
                continue
            if served and served.is_valid(self.now):
                assert served.issuer in self.shown_since, "a leaf is served that API servers do not accept"


class Replica:
    """One process: what it remembers is lost when it crashes."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.is_running = False
        self.is_excused = False
        self.looked_at = cluster.now
        stores = Stores(Interrupted(self, cluster.secret), Interrupted(self, cluster.configuration))
        self.manager = CertManager(stores, WatchedTls(self), cluster.policy, lambda: cluster.now)

    @property
    def served(self) -> ServingCert | None:
        """What it serves; a real handshake would tell the same, 2 ms later."""
        return self.manager._served  # noqa: SLF001 - that is the reason

    def restart(self) -> None:
        """Another process takes its place, which knows nothing."""
        self.cluster.replicas.remove(self)
        self.cluster.start_replica()
        if self.cluster.is_restored:
            self.cluster.excuse_all()

    def check_switch(self, pair: KeyPair) -> None:
        """A leaf that is good gives way to another authority's only when each API server knows that one."""
        cluster, before = self.cluster, self.served
        is_good = before and before.is_valid(cluster.now) and before.issuer in cluster.shown_since
        if before is None or not is_good:
            self.is_excused = True  # handshakes failed before, and nothing is lost while this pass brings them back
            return
        if pair.certificate.is_signed_by(before.issuer):
            return
        if self.is_excused or cluster.has_slept:
            return
        since = next(since for ca, since in cluster.shown_since.items() if pair.certificate.is_signed_by(ca))
        assert cluster.now - since >= cluster.policy.lifetimes.propagation_seconds - LONGEST_PASS_SECONDS, "too early"

    def run(self) -> None:
        """One pass, if none is under way. An API server that does not answer ends it."""
        if self.is_running or self not in self.cluster.replicas:
            return
        self.is_running = True
        try:
            self.manager.reconcile()
        except ClusterError:
            pass
        except CrashError:
            self.restart()
        else:
            self.is_excused = self.cluster.is_restored = False
            self.looked_at = self.cluster.now
            assert self.served
            assert self.served.is_valid(self.cluster.now), "a pass ended, and an expired leaf is served"
        finally:
            self.is_running = False
        self.cluster.check()


@dataclass
class Interrupted:
    """A store over which the world can move on before and after each request."""

    replica: Replica
    stored: Stored

    @property
    def description(self) -> str:
        return self.stored.what

    def read(self) -> Document | None:
        self.replica.cluster.interrupt(self.replica)
        return self.stored.read()

    def write(self, document: Document) -> None:
        self._send(lambda: self.stored.write(document))

    def patch(self, change: Document) -> None:
        self._send(lambda: self.stored.patch(change))

    def wait_for_change(self, resource_version: str, _seconds: int) -> bool:
        return resource_version != str(self.stored.version)

    def _send(self, request: Callable[[], None]) -> None:
        cluster = self.replica.cluster
        cluster.interrupt(self.replica)
        request()
        cluster.check()
        cluster.interrupt(self.replica)


def is_at_rest(cluster: Cluster) -> bool:
    """Whether all serve the Secret's valid leaf, and API servers are shown exactly the Secret's authorities."""
    secret = parse_secret(cluster.secret.document)
    ca_bundle = parse_webhook_configuration(cluster.configuration.document)
    leaves = [replica.served for replica in cluster.replicas]
    all_serve_it = all(served and served.pair == secret.pair and served.is_valid(cluster.now) for served in leaves)
    is_signed_by_first = secret.find_issuer(secret.pair) == secret.cas[0]
    return bool(ca_bundle and ca_bundle.contains_exactly(secret.cas) and all_serve_it and is_signed_by_first)
