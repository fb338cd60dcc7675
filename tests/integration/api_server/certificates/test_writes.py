"""Writes with and without permission, and of objects that another client has changed."""

import time
from pathlib import Path

import pytest

from injector.certs.ca_store import build_ca_bundle_patch
from injector.certs.x509 import Lifetimes, issue_ca
from injector.errors import ConflictError
from injector.k8s.secret import CertificateSecret
from injector.k8s.webhook_configuration import WebhookConfiguration
from testing.cluster.api import ApiServer, load_configuration, wait_for
from tests.integration.api_server.certificates.installation import REPAIR_SECONDS, SECRET, await_rest, installed


def test_missing_secret_without_create_permission_logs_the_command(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path) as installation:
        installation.send("DELETE", installation.secret_path)
        replica = installation.start_replica()
        command = f"kubectl create secret generic {SECRET} --namespace {installation.name}"
        wait_for("the command in the log", lambda: command in replica.log, REPAIR_SECONDS)
        wait_for("the progress message", lambda: "no serving certificate after" in replica.log, REPAIR_SECONDS)

        installation.send("POST", f"api/v1/namespaces/{installation.name}/secrets", {"metadata": {"name": SECRET}})

        assert replica.port
        assert installation.secret().ca
        assert replica.log.count(command) == 1
        assert 'cannot create resource "secrets"' in replica.log


def test_write_of_an_outdated_object_is_a_conflict(api: ApiServer, tmp_path: Path) -> None:
    """A replica never stores an outdated Secret or caBundle, even after a long pause before its write."""
    with installed(api, tmp_path) as installation:
        installation.register([9443])
        secret = CertificateSecret(load_configuration(api.kubeconfig), installation.name, SECRET)
        webhooks = WebhookConfiguration(load_configuration(api.kubeconfig), installation.name)
        read, shown = secret.read(), webhooks.read()
        assert read
        assert shown
        ca = issue_ca(time.time(), Lifetimes()).certificate
        secret.write({**read, "data": {"other": ""}})
        webhooks.patch(build_ca_bundle_patch(shown, [ca], time.time()))

        with pytest.raises(
            ConflictError, match=f"cannot update Secret {installation.name}/{SECRET}: .*the object has been modified"
        ):
            secret.write({**read, "data": {}})
        with pytest.raises(
            ConflictError,
            match=f"cannot patch Mutating.* {installation.name}: .* has been modified",
        ):
            webhooks.patch(build_ca_bundle_patch(shown, [], time.time()))

        assert installation.bundles() == {ca.pem}


def test_missing_secret_is_created_with_permission(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path) as installation:
        installation.send("DELETE", installation.secret_path)
        replica = installation.start_replica(is_admin=True)

        served = replica.served()

        assert (leaf := installation.secret().pair)
        assert served == leaf.certificate.pem


def test_certificate_stays_after_the_secret_is_deleted(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path, propagation_seconds=2) as installation:
        replica = installation.start_replica()
        installation.register([replica.port])
        await_rest(installation, [replica])
        served = replica.served()
        installation.send("DELETE", installation.secret_path)
        wait_for("the command in the log", lambda: "kubectl create secret generic" in replica.log, REPAIR_SECONDS)

        installation.create_pod()

        assert replica.served() == served
        assert replica.status()["reconcile_errors"] >= 1
        installation.send("POST", f"api/v1/namespaces/{installation.name}/secrets", {"metadata": {"name": SECRET}})
        assert len(await_rest(installation, [replica]).cas) == 2
