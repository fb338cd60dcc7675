"""What may be written, and what may not: a Secret that is absent, and objects that somebody else wrote since."""

import time
from pathlib import Path

import pytest

from injector.certs.ca_store import build_ca_bundle_patch
from injector.certs.x509 import Lifetimes, issue_ca
from injector.errors import ConflictError
from injector.k8s.secret import CertificateSecret
from injector.k8s.webhook_configuration import WebhookConfiguration
from tests.integration.api_server.api import ApiServer, load_configuration, wait_for
from tests.integration.api_server.certificates.test_installation import REPAIR_SECONDS, SECRET, await_rest, installed


def test_missing_secret_without_create_permission_logs_the_command(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path) as site:
        site.send("DELETE", site.secret_path)
        replica = site.start_replica()
        command = f"kubectl create secret generic {SECRET} --namespace {site.name}"
        wait_for("the sentence", lambda: command in replica.log, REPAIR_SECONDS)
        wait_for("progress", lambda: "no serving certificate after" in replica.log, REPAIR_SECONDS)

        site.send("POST", f"api/v1/namespaces/{site.name}/secrets", {"metadata": {"name": SECRET}})

        assert replica.port
        assert site.secret().ca
        assert replica.log.count(command) == 1
        assert 'cannot create resource "secrets"' in replica.log


def test_write_of_an_outdated_object_is_a_conflict(api: ApiServer, tmp_path: Path) -> None:
    """No replica has an outdated Secret or bundle stored, however long it slept before its write."""
    with installed(api, tmp_path) as site:
        site.register([9443])
        secret = CertificateSecret(load_configuration(api.kubeconfig), site.name, SECRET)
        webhooks = WebhookConfiguration(load_configuration(api.kubeconfig), site.name)
        read, shown = secret.read(), webhooks.read()
        assert read
        assert shown
        ca = issue_ca(time.time(), Lifetimes()).certificate
        secret.write({**read, "data": {"other": ""}})
        webhooks.patch(build_ca_bundle_patch(shown, [ca], time.time()))

        with pytest.raises(
            ConflictError, match=f"cannot update Secret {site.name}/{SECRET}: .*the object has been modified"
        ):
            secret.write({**read, "data": {}})
        with pytest.raises(
            ConflictError,
            match=f"cannot patch Mutating.* {site.name}: .* has been modified",
        ):
            webhooks.patch(build_ca_bundle_patch(shown, [], time.time()))

        assert site.bundles() == {ca.pem}


def test_missing_secret_is_created_with_permission(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path) as site:
        site.send("DELETE", site.secret_path)
        replica = site.start_replica(is_admin=True)

        served = replica.served()

        assert (leaf := site.secret().pair)
        assert served == leaf.certificate.pem


def test_certificate_stays_after_the_secret_is_deleted(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path, propagation_seconds=2) as site:
        replica = site.start_replica()
        site.register([replica.port])
        await_rest(site, [replica])
        served = replica.served()
        site.send("DELETE", site.secret_path)
        wait_for("the sentence", lambda: "kubectl create secret generic" in replica.log, REPAIR_SECONDS)

        site.create_pod()

        assert replica.served() == served
        assert replica.status()["reconcile_errors"] >= 1
        site.send("POST", f"api/v1/namespaces/{site.name}/secrets", {"metadata": {"name": SECRET}})
        assert len(await_rest(site, [replica]).cas) == 2
