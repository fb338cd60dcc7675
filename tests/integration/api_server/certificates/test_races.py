"""A Secret that is lost while a replica is between its reads: the CAs of other replicas stay published."""

from pathlib import Path

import pytest

from injector.certs.ca_store import Document, parse_webhook_configuration
from injector.certs.manager import CertManager
from injector.certs.state import RotationPolicy
from injector.certs.stores import Stores
from injector.certs.tls import MemoryTls
from injector.certs.x509 import Lifetimes
from injector.k8s.secret import CertificateSecret
from injector.k8s.webhook_configuration import WebhookConfiguration
from testing.cluster.api import ApiServer, load_configuration, wait_for
from tests.integration.api_server.certificates.installation import REPAIR_SECONDS, SECRET, Installation, installed
from tests.unit.injector.certs.stepped_call import SteppedCall


class PausedSecret(CertificateSecret):
    """The pass that reads it is paused before the first read, if there is one."""

    paused: SteppedCall | None = None

    def read(self) -> Document | None:
        if self.paused is not None:
            paused, self.paused = self.paused, None
            paused.pause()
        return super().read()


def create_replica(installation: Installation) -> tuple[CertManager, PausedSecret]:
    configuration = load_configuration(installation.api.kubeconfig)
    secret = PausedSecret(configuration, installation.name, SECRET)
    stores = Stores(secret, WebhookConfiguration(configuration, installation.name))
    policy = RotationPolicy(frozenset({f"podrole-injector.{installation.name}.svc"}), Lifetimes(propagation_seconds=1))
    return CertManager(stores, MemoryTls(), policy), secret


def is_published(manager: CertManager, installation: Installation) -> bool:
    ca_bundle = parse_webhook_configuration(installation.send("GET", installation.configuration_path))
    return bool(ca_bundle and manager.serving_cert and ca_bundle.trusts(manager.serving_cert.issuer))


def rotate_ca(manager: CertManager, installation: Installation) -> None:
    """Until this replica serves a certificate of the new CA."""
    before = manager.serving_cert
    annotate = {"metadata": {"annotations": {"podrole.io/rotate": "ca"}}}
    installation.send("PATCH", installation.secret_path, annotate, "application/merge-patch+json")

    def is_rotated() -> bool:
        manager.reconcile()
        assert before
        assert manager.serving_cert
        return manager.serving_cert.issuer != before.issuer

    wait_for("the new CA is in use", is_rotated, REPAIR_SECONDS)


@pytest.mark.parametrize("is_deleted", [False, True], ids=["emptied", "deleted"])
def test_secret_lost_while_a_replica_is_between_its_reads_loses_no_ca_in_use(
    api: ApiServer,
    tmp_path: Path,
    is_deleted: bool,  # noqa: FBT001 - a table
) -> None:
    with installed(api, tmp_path) as installation:
        installation.register([9443])
        slow, secret = create_replica(installation)
        fast, _ = create_replica(installation)
        fast.reconcile()
        slow.reconcile()
        secret.paused = running = SteppedCall(slow.reconcile)
        running.resume()
        rotate_ca(fast, installation)

        if is_deleted:
            installation.send("DELETE", installation.secret_path)
        else:
            installation.edit_secret(ca_crt=None, ca_key=None, tls_crt=None, tls_key=None)
        running.resume()

        assert running.is_over
        assert slow.rotations == 1, "another replica has repaired the Secret"
        assert is_published(fast, installation)
        assert is_published(slow, installation)
