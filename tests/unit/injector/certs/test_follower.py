"""The configuration of the webhook that only warns follows the Secret, and delays nothing."""

import logging

import pytest

from injector.certs.ca_store import parse_secret, parse_webhook_configuration
from injector.certs.follower import follow
from injector.certs.manager import CertManager
from injector.certs.registration import WORKLOAD_WEBHOOK, ServiceName, can_refuse_workloads
from injector.certs.stores import Stores
from injector.certs.tls import MemoryTls
from injector.certs.x509 import DAY_SECONDS
from injector.errors import ClusterError
from injector.webhook.certificate_metrics import export_drift
from injector.webhook.metrics import Metrics
from testing.stored_object import StoredObject, build_empty_configuration
from tests.unit.injector.certs.rotation_examples import NOW, OLD_CA
from tests.unit.injector.certs.test_manager_rotation import POLICY, FlakyStore

CAS = (OLD_CA,)


class Replica:
    """A reconcile loop whose API server is in memory."""

    def __init__(self) -> None:
        self.now = float(NOW)
        self.secret = StoredObject("Secret podrole-system/podrole-injector-certs")
        self.configuration = StoredObject("MutatingWebhookConfiguration podrole-injector")
        self.configuration.force(build_empty_configuration())
        self.warnings = FlakyStore(StoredObject("ValidatingWebhookConfiguration podrole-injector"))
        self.warnings.stored.force(build_empty_configuration())
        stores = Stores(self.secret, self.configuration, self.warnings)
        self.manager = CertManager(stores, MemoryTls(), POLICY, lambda: self.now)

    def reconcile(self) -> None:
        self.manager.reconcile()

    def is_followed(self) -> bool:
        bundles = parse_webhook_configuration(self.warnings.stored.read())
        return bundles is not None and bundles.contains_exactly(parse_secret(self.secret.read()).cas)


@pytest.fixture
def replica() -> Replica:
    return Replica()


def test_first_reconciliation_sets_the_ca_bundle_of_both_configurations(replica: Replica) -> None:
    replica.reconcile()

    assert replica.manager.ca_bundle_in_sync
    assert replica.is_followed()


def test_ca_bundle_of_both_follows_every_rotation(replica: Replica) -> None:
    replica.reconcile()
    first = parse_secret(replica.secret.read()).cas

    for _ in range(20 * 12):
        replica.now += 30 * DAY_SECONDS
        for _ in range(2):
            replica.reconcile()
            assert replica.is_followed()
            replica.now += 3600

    assert not set(first) & set(parse_secret(replica.secret.read()).cas)


def test_overwritten_ca_bundle_is_repaired_by_the_next_reconciliation(replica: Replica) -> None:
    replica.reconcile()
    replica.warnings.stored.force(build_empty_configuration())

    replica.reconcile()

    assert replica.is_followed()


def test_unchanged_ca_bundle_is_not_written_again(replica: Replica) -> None:
    replica.reconcile()
    version = replica.warnings.stored.version

    for _ in range(10):
        replica.reconcile()

    assert replica.warnings.stored.version == version


def test_configuration_that_does_not_exist_is_no_problem(replica: Replica, caplog: pytest.LogCaptureFixture) -> None:
    replica.warnings.stored.force(None)

    replica.reconcile()

    assert replica.manager.is_ready
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_failure_is_logged_once_and_delays_neither_readiness_nor_a_rotation(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an upgrade without the new permissions."""
    replica.warnings.error = ClusterError("cannot get ValidatingWebhookConfiguration podrole-injector: forbidden")
    replica.warnings.failures = 1000
    for _ in range(3 * 365):
        replica.reconcile()
        replica.now += DAY_SECONDS

    assert (replica.manager.is_ready, replica.manager.ca_bundle_in_sync) == (True, True)
    assert replica.manager.rotations > 3
    assert replica.manager.reconcile_errors == 0
    assert caplog.text.count("cannot get ValidatingWebhookConfiguration podrole-injector: forbidden") == 1


POLICIES = {
    "ignore": ([{"name": WORKLOAD_WEBHOOK, "failurePolicy": "Ignore"}], "0.0"),
    "fail": ([{"name": WORKLOAD_WEBHOOK, "failurePolicy": "Fail"}], "1.0"),
    "default": ([{"name": WORKLOAD_WEBHOOK}], "1.0"),
    "renamed": ([{"name": "evil.example.com", "failurePolicy": "Ignore"}], "1.0"),
    "added": ([{"name": WORKLOAD_WEBHOOK, "failurePolicy": "Ignore"}, {"name": "evil.example.com"}], "1.0"),
    "empty": ([], "0.0"),
    "null": (None, "0.0"),
}


@pytest.mark.parametrize(("webhooks", "value"), POLICIES.values(), ids=POLICIES)
def test_webhook_that_could_refuse_workloads_is_drift(
    replica: Replica, webhooks: list[dict[str, str]] | None, value: str
) -> None:
    metrics = Metrics()
    export_drift(replica.manager, ServiceName("podrole-system", "podrole-injector"), metrics)
    series = 'podrole_webhook_configuration_drift{field="warnings"} '
    before = metrics.render().decode()
    entries = [{**one, "clientConfig": {}} for one in webhooks] if webhooks else webhooks
    replica.warnings.stored.force({**build_empty_configuration(), "webhooks": entries})

    replica.reconcile()

    assert f"{series}NaN" in before
    assert f"{series}{value}" in metrics.render().decode()


def test_missing_webhook_for_workloads_is_no_drift(replica: Replica) -> None:
    replica.reconcile()
    replica.warnings.stored.force(None)

    replica.reconcile()

    assert replica.manager.warnings is None
    assert not can_refuse_workloads(replica.manager.warnings)


def test_change_by_another_replica_is_left_to_the_next_reconciliation() -> None:
    class Changed(FlakyStore):
        def read(self) -> dict[str, object] | None:
            document = super().read()
            self.stored.force(document)
            return document

    store = Changed(StoredObject("ValidatingWebhookConfiguration podrole-injector", build_empty_configuration()))
    store.stored.force(build_empty_configuration())

    assert follow(store, CAS, NOW) == ""
    bundles = parse_webhook_configuration(store.stored.read())
    assert bundles is not None
    assert not bundles.contains_exactly(CAS)
