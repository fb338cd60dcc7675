"""A cluster in memory whose replicas stop at each request, and the invariants that must hold at every moment.

Each replica runs the real reconcile loop in a thread. A test continues it request by request, so it can put any event
between two requests: another replica's requests, a crash, a pause, a change by another client.
"""

from dataclasses import dataclass, field

from injector.certs.ca_store import Document, parse_secret, parse_webhook_configuration
from injector.certs.manager import CertManager
from injector.certs.state import RotationPolicy
from injector.certs.stores import Stores
from injector.certs.tls import MemoryTls
from injector.certs.x509 import Certificate, KeyPair
from injector.errors import ClusterError
from testing.stored_object import StoredObject, build_empty_configuration
from tests.unit.injector.certs.checked_stores import ConfigurationAccess, SecretAccess
from tests.unit.injector.certs.stepped_call import CrashError, SteppedCall


@dataclass
class Cluster:
    """Both objects, the clock, the replicas, and what API servers have accepted since when."""

    policy: RotationPolicy
    now: float
    secret: StoredObject = field(default_factory=lambda: StoredObject("Secret"))
    configuration: StoredObject = field(default_factory=lambda: StoredObject("MutatingWebhookConfiguration"))
    replicas: list["Replica"] = field(default_factory=list)
    accepted_since: dict[Certificate, float] = field(default_factory=dict)
    """CAs in the caBundle of every webhook, and since when without interruption."""

    ca_keys: set[str] = field(default_factory=set)
    """Every CA key that a replica has written to the Secret."""

    sends_dates: bool = True
    """Whether the answers of the API server have a Date. Without, the clocks of all nodes are right."""

    is_drop_requested: bool = False
    """Whether a user has requested the removal of old CAs. API servers then reject a replica that reads too rarely."""

    def __post_init__(self) -> None:
        self.configuration.force(build_empty_configuration())

    def start_replica(self) -> None:
        self.replicas.append(Replica(self))

    def restart(self, replica: "Replica") -> None:
        """Replace the process, which loses its memory. The clock of its node stays."""
        started = Replica(self)
        started.clock_error = replica.clock_error
        self.replicas[self.replicas.index(replica)] = started

    def replace_configuration(self, document: Document) -> None:
        """A write by another client. Each replica has one complete pass to recover."""
        self.configuration.force(document)
        self.update_accepted()
        for replica in self.replicas:
            replica.mark_recovering()

    def replace_secret(self, document: Document | None) -> None:
        """A write by another client, also between two requests of a pass. No replica may lose its CA by it."""
        self.secret.force(document)

    def update_accepted(self) -> None:
        """Call after each change of the configuration."""
        document = self.configuration.document
        ca_bundle = parse_webhook_configuration(document)
        bundles = ca_bundle.bundles if ca_bundle else ((),)
        accepted = set.intersection(*(set(bundle) for bundle in bundles))
        since = self.now if ca_bundle is None or ca_bundle.since is None else ca_bundle.since
        self.accepted_since = {ca: self.accepted_since.get(ca, since) for ca in accepted}

    def check_accepted(self) -> None:
        """Every replica serves a certificate that API servers accept."""
        for replica in self.replicas:
            current = replica.manager.serving_cert
            if current is None or not current.is_valid(self.now) or not replica.manager.is_ready:
                continue
            if replica.is_recovering or replica.is_left_behind() or not replica.manager.clock.is_right():
                continue
            assert current.issuer in self.accepted_since, "a CA was removed while its certificate is in use"

    def check_at_rest(self) -> None:
        """All replicas serve the Secret's valid certificate, and the caBundle is exactly the Secret's CAs."""
        secret = parse_secret(self.secret.document)
        ca_bundle = parse_webhook_configuration(self.configuration.document)
        assert secret.pair
        assert secret.find_issuer(secret.pair) == secret.cas[0], "the certificate of an old CA is in use"
        assert ca_bundle
        assert ca_bundle.contains_exactly(secret.cas), "caBundle and Secret differ"
        for replica in self.replicas:
            current = replica.manager.serving_cert
            assert current
            assert current.pair == secret.pair, "a replica does not serve the Secret's certificate"
            assert current.is_valid(self.now)


class Replica:
    """One process, whose memory is lost when it crashes."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.clock_error = 0.0
        """How many seconds the clock of its node is ahead."""

        self.manager = CertManager(
            Stores(SecretAccess(self, cluster.secret), ConfigurationAccess(self, cluster.configuration)),
            CheckedTls(self),
            cluster.policy,
            lambda: cluster.now + self.clock_error,
            lambda: cluster.now if cluster.sends_dates else None,
        )
        self.is_recovering = False
        """Whether its certificate was not accepted because of an event outside of podrole: one pass must repair it."""

        self.looked_at = self.configuration_read_at = cluster.now
        self._pass: SteppedCall | None = None
        self._recovers_in_this_pass = False

    def set_clock_error(self, seconds: float) -> None:
        """The clock of its node jumps. While it is wrong the replica is not ready, and later it needs one pass."""
        was_right = self.manager.clock.is_right()
        self.clock_error = seconds
        self._recovers_in_this_pass = False
        self.is_recovering |= not was_right

    def mark_recovering(self) -> None:
        self.is_recovering = True
        self._recovers_in_this_pass = False

    def is_left_behind(self) -> bool:
        """Whether old CAs were dropped by request, and this replica could not read the objects in time."""
        seconds = self.cluster.policy.lifetimes.propagation_seconds
        return self.cluster.is_drop_requested and self.cluster.now - self.looked_at >= seconds

    def step(self, error: BaseException | None = None) -> bool:
        """Continue to the next request; return whether the pass is still running. Starts a pass if none is running."""
        if self._pass is None:
            self._recovers_in_this_pass = True
            self._pass = SteppedCall(self.manager.reconcile)
        running = self._pass
        try:
            running.resume(error)
        except ClusterError:
            return False
        except CrashError:
            self.cluster.restart(self)
            return False
        finally:
            self._pass = None if running.is_over else running
        if running.is_over:
            self._check_end_of_pass()
        return not running.is_over

    def run_pass(self) -> None:
        """Finish the running pass, or run a whole one."""
        while self.step():
            self.cluster.check_accepted()

    def pause(self) -> None:
        """Called in the thread of the pass, around each request."""
        assert self._pass
        self._pass.pause()

    def check_switch(self, pair: KeyPair) -> None:
        """A good certificate is replaced by another CA's only if that CA has been published for long enough."""
        cluster, before = self.cluster, self.manager.serving_cert
        if before is None or not before.is_valid(cluster.now) or before.issuer not in cluster.accepted_since:
            self.is_recovering = True
            return
        if pair.certificate.is_signed_by(before.issuer) or self.is_recovering:
            return
        since = [since for ca, since in cluster.accepted_since.items() if pair.certificate.is_signed_by(ca)]
        assert since, "a certificate is served before its CA is published"
        assert cluster.now - since[0] >= cluster.policy.lifetimes.propagation_seconds, "served too early"

    def _check_end_of_pass(self) -> None:
        current = self.manager.serving_cert
        if not self.manager.clock.is_right():
            return  # it can lack one, or have one that expired, until another replica writes a new one
        assert current
        assert current.is_valid(self.cluster.now), "an expired certificate is served after a complete pass"
        if self._recovers_in_this_pass:
            self.is_recovering = False


class CheckedTls(MemoryTls):
    """Checks each switch, and loads nothing into OpenSSL, which would take most of the time."""

    def __init__(self, replica: Replica) -> None:
        super().__init__()
        self._replica = replica

    def install(self, pair: KeyPair) -> None:
        self._replica.check_switch(pair)
