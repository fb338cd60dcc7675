"""The reconcile loop of one replica: starts, errors, exhausted resources, expired certificates."""

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Barrier, Thread

import pytest
from kubernetes.client import Configuration

from injector.certs import manager as module
from injector.certs.ca_store import Document, parse_secret
from injector.certs.cluster_clock import ClusterClock
from injector.certs.manager import CertManager
from injector.certs.state import RotationPolicy
from injector.certs.stores import Stores
from injector.certs.tls import MemoryTls
from injector.certs.x509 import DAY_SECONDS, KeyPair
from injector.errors import CertificateError, ClusterError, ConflictError
from injector.k8s.secret import CertificateSecret
from injector.k8s.webhook_configuration import WebhookConfiguration
from testing.stored_object import StoredObject, build_empty_configuration

POLICY = RotationPolicy(frozenset({"podrole-injector.podrole-system.svc"}))
START = 1_795_000_000.0


@dataclass
class FlakyStore:
    """A store whose next reads fail, as many as a test sets."""

    stored: StoredObject
    failures: int = 0
    error: Exception = field(default_factory=lambda: ClusterError("the API server does not answer"))

    @property
    def description(self) -> str:
        return self.stored.description

    def read(self) -> Document | None:
        if self.failures:
            self.failures -= 1
            raise self.error
        return self.stored.read()

    def write(self, document: Document) -> None:
        self.stored.write(document)

    def patch(self, change: Document) -> None:
        self.stored.patch(change)

    def wait_for_change(self, resource_version: str, _seconds: int) -> bool:
        return resource_version != str(self.stored.version)


class FullTls(MemoryTls):
    """TLS on a machine whose resources are exhausted when a test sets `is_full`."""

    is_full = False

    def install(self, pair: KeyPair) -> None:
        if self.is_full:
            raise CertificateError("they cannot be loaded into memory: No space left on device")
        super().install(pair)


class Replica:
    """A reconcile loop with an API server in memory."""

    def __init__(self, secret: StoredObject | None = None, configuration: StoredObject | None = None) -> None:
        self.now = START
        self.secret = FlakyStore(secret or StoredObject("Secret podrole-system/podrole-injector-certs"))
        self.configuration = FlakyStore(configuration or StoredObject("MutatingWebhookConfiguration podrole-injector"))
        self.tls = FullTls()
        self.manager = CertManager(Stores(self.secret, self.configuration), self.tls, POLICY, lambda: self.now)

    def register(self) -> None:
        self.configuration.stored.force(build_empty_configuration())

    def reconcile(self) -> None:
        self.manager.reconcile()


@pytest.fixture
def replica() -> Replica:
    return Replica()


@pytest.fixture
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CERT_MIN_INTERVAL_SECONDS", 0.001)
    monkeypatch.setattr(module, "FIRST_PROGRESS_SECONDS", 0)


@pytest.mark.usefixtures("short_intervals")
def test_start_without_api_server_waits_and_logs_it_once(replica: Replica, caplog: pytest.LogCaptureFixture) -> None:
    replica.register()
    replica.configuration.failures = 5

    with caplog.at_level(logging.INFO):
        replica.manager.wait_for_certificate()

    assert replica.tls.certificate_not_after == START + 90 * DAY_SECONDS
    assert replica.manager.reconcile_errors == 5
    assert caplog.messages.count("the API server does not answer") == 1
    assert any(message.startswith("no serving certificate after") for message in caplog.messages)


@pytest.mark.usefixtures("short_intervals")
def test_unexpected_error_is_logged_and_retried(replica: Replica, caplog: pytest.LogCaptureFixture) -> None:
    replica.register()
    replica.configuration.failures = 1
    replica.configuration.error = KeyError("webhooks")

    replica.manager.wait_for_certificate()

    assert replica.tls.certificate_not_after == START + 90 * DAY_SECONDS
    assert replica.manager.reconcile_errors == 1
    assert any("the current certificate stays" in message for message in caplog.messages)


@pytest.mark.usefixtures("short_intervals")
def test_unexpected_errors_are_logged_once_a_minute(replica: Replica, caplog: pytest.LogCaptureFixture) -> None:
    replica.register()
    replica.configuration.failures = 5
    replica.configuration.error = KeyError("webhooks")

    replica.manager.wait_for_certificate()

    assert replica.manager.reconcile_errors == 5
    assert sum("the current certificate stays" in message for message in caplog.messages) == 1


def refuse_as_modified(_document: Document) -> None:
    raise ConflictError("it has been modified")


def accept_without_effect(_document: Document) -> None:
    """Like an API server whose other clients undo each change at once."""


@pytest.mark.parametrize("answer", [refuse_as_modified, accept_without_effect], ids=["conflict", "no-effect"])
@pytest.mark.parametrize(("store", "verb"), [("secret", "write"), ("configuration", "patch")], ids=["secret", "bundle"])
def test_writes_that_never_have_an_effect_are_one_problem_and_a_few_lines(
    replica: Replica, caplog: pytest.LogCaptureFixture, answer: Callable[[Document], None], store: str, verb: str
) -> None:
    replica.register()
    written = getattr(replica, store)
    setattr(written, verb, answer)

    with caplog.at_level(logging.INFO):
        for _ in range(5):
            replica.reconcile()

        assert replica.manager.reconcile_errors == 5
        assert sum("16 writes in a row had no effect: another client changes" in line for line in caplog.messages) == 1
        assert len(caplog.messages) <= 6
        delattr(written, verb)
        replica.reconcile()

    assert replica.manager.is_ready
    assert replica.manager.reconcile_errors == 5
    assert caplog.messages[-1] == "certificate problems resolved"


@pytest.mark.usefixtures("short_intervals")
def test_api_servers_whose_clocks_differ_are_a_problem_with_a_sentence(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_time = START
    read, patch = replica.secret.read, replica.configuration.patch

    def read_from_one() -> Document | None:
        nonlocal server_time
        server_time = START
        return read()

    def patch_at_another(change: Document) -> None:
        nonlocal server_time
        server_time = START + 3600
        patch(change)

    replica.register()
    monkeypatch.setattr(replica.secret, "read", read_from_one)
    monkeypatch.setattr(replica.configuration, "patch", patch_at_another)
    replica.manager.clock = ClusterClock(lambda: START, lambda: server_time)

    with pytest.raises(ClusterError, match="the clock of this node is 3600 s behind the API server's"):
        replica.reconcile()

    monkeypatch.setattr(replica.configuration, "patch", patch)
    replica.manager.wait_for_certificate()
    assert replica.tls.certificate_not_after == START + 90 * DAY_SECONDS


@pytest.mark.parametrize("year", [1926, 9995])
def test_time_of_the_api_server_at_which_nothing_can_be_issued_is_a_wrong_clock(
    replica: Replica, caplog: pytest.LogCaptureFixture, year: int
) -> None:
    replica.register()
    replica.manager.clock = ClusterClock(lambda: START, datetime(year, 6, 1, tzinfo=UTC).timestamp)

    replica.reconcile()

    assert [message.partition(" is ")[0] for message in caplog.messages] == ["the clock of this node"]
    assert replica.secret.stored.document is None


def test_replica_without_configuration_serves_but_is_not_ready(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    replica.manager.wait_for_certificate()
    replica.reconcile()

    assert replica.tls.certificate_not_after == START + 90 * DAY_SECONDS
    assert (replica.manager.is_ready, replica.manager.ca_bundle_in_sync) == (False, False)
    message = "MutatingWebhookConfiguration podrole-injector does not exist or has no webhooks: apply the manifests"
    assert caplog.messages.count(message) == 1


def test_replica_is_ready_once_its_ca_is_published_and_stays_ready(replica: Replica) -> None:
    replica.register()
    replica.manager.wait_for_certificate()
    ready = replica.manager.is_ready, replica.manager.ca_bundle_in_sync

    replica.configuration.stored.force(None)
    replica.reconcile()

    assert ready == (True, True)
    assert (replica.manager.is_ready, replica.manager.ca_bundle_in_sync) == (True, False)


def test_expired_serving_cert_is_replaced_at_once(replica: Replica) -> None:
    replica.register()
    replica.manager.wait_for_certificate()
    before = replica.tls.context()

    replica.now += 91 * DAY_SECONDS
    replica.reconcile()

    assert replica.tls.context() is not before
    assert replica.tls.certificate_not_after == replica.now + 90 * DAY_SECONDS
    assert replica.manager.rotations == 2


def test_old_serving_cert_is_kept_while_the_new_one_cannot_be_loaded(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    replica.register()
    replica.manager.wait_for_certificate()
    before = replica.tls.context()
    replica.now += 61 * DAY_SECONDS
    replica.tls.is_full = True

    replica.reconcile()
    replica.reconcile()
    kept = replica.tls.context()
    replica.tls.is_full = False
    replica.reconcile()

    assert kept is before
    assert replica.tls.context() is not before
    message = (
        "the new serving certificate is not in use yet: they cannot be loaded into memory: No space left on device"
    )
    assert caplog.messages.count(message) == 1


def test_problem_is_logged_again_when_it_returns(replica: Replica, caplog: pytest.LogCaptureFixture) -> None:
    replica.register()
    replica.manager.wait_for_certificate()

    with caplog.at_level(logging.INFO):
        for document in (None, build_empty_configuration(), None):
            replica.configuration.stored.force(document)
            replica.reconcile()
            replica.reconcile()

    assert sum("does not exist" in message for message in caplog.messages) == 2
    assert caplog.messages.count("certificate problems resolved") == 1


def test_replicas_that_start_at_once_agree_on_one_ca() -> None:
    secret, configuration = StoredObject("Secret"), StoredObject("MutatingWebhookConfiguration")
    configuration.force(build_empty_configuration())
    replicas = [Replica(secret, configuration) for _ in range(8)]
    barrier = Barrier(len(replicas))

    def wait_for_certificate(replica: Replica) -> None:
        barrier.wait()
        replica.manager.wait_for_certificate()

    threads = [Thread(target=wait_for_certificate, args=(replica,)) for replica in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for replica in replicas:
        replica.reconcile()

    state = parse_secret(secret.document)
    assert len(state.cas) == 1
    assert state.pair
    assert {replica.tls.certificate_not_after for replica in replicas} == {state.pair.certificate.not_after}
    assert all(replica.manager.ca_bundle_in_sync and replica.manager.is_ready for replica in replicas)


def test_error_without_api_server_names_the_object_and_the_action() -> None:
    configuration = Configuration()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        configuration.host = f"http://127.0.0.1:{unused.getsockname()[1]}"
        secret = CertificateSecret(configuration, "podrole-system", "podrole-injector-certs")
        webhooks = WebhookConfiguration(configuration, "podrole-injector")

        with pytest.raises(ClusterError, match=r"cannot get Secret podrole-system/podrole-injector-certs: .*refused"):
            secret.read()
        with pytest.raises(ClusterError, match=r"cannot get MutatingWebhookConfiguration podrole-injector: .*refused"):
            webhooks.read()
        with pytest.raises(ClusterError, match=r"cannot watch .* podrole-injector: .*refused"):
            webhooks.wait_for_change("1", 1)
