"""What the care for the certificates asks of the API server, as it arrives there, and what is made of each answer."""

from collections.abc import Iterator

import pytest

from injector.errors import ClusterError, ConflictError
from injector.k8s.client import STRATEGIC_MERGE
from injector.k8s.secret import CertificateSecret
from injector.k8s.webhook_configuration import WebhookConfiguration
from tests.unit.injector.k8s.fake_api_server import (
    CONFIGURATION,
    CONFIGURATIONS,
    SECRET,
    SECRETS,
    Sent,
    WritableApiServer,
    writable_api_server,
)
from tests.unit.injector.k8s.fake_list_watch_server import Exchange

MANAGER = {"fieldManager": "podrole-injector"}
FORBIDDEN = {"kind": "Status", "code": 403, "message": 'User "eve" cannot do that'}


@pytest.fixture
def api() -> Iterator[WritableApiServer]:
    with writable_api_server() as server:
        yield server


@pytest.fixture
def secret(api: WritableApiServer) -> CertificateSecret:
    return CertificateSecret(api.configuration, "podrole-system", "podrole-injector-certs")


@pytest.fixture
def webhooks(api: WritableApiServer) -> WebhookConfiguration:
    return WebhookConfiguration(api.configuration, "podrole-injector")


def refuse(exchange: Exchange) -> None:
    exchange.send_document(403, FORBIDDEN)


def test_what_is_absent_is_none_and_no_error(
    api: WritableApiServer, secret: CertificateSecret, webhooks: WebhookConfiguration
) -> None:
    for stored in api.kept.values():
        stored.force(None)

    assert secret.read() is None
    assert webhooks.read() is None


def test_the_secret_is_replaced_in_the_injectors_name(api: WritableApiServer, secret: CertificateSecret) -> None:
    read = secret.read()
    assert read
    changed = {**read, "data": {"tls.key": "c2VjcmV0"}}

    secret.write(changed)

    assert api.changes == [Sent("PUT", SECRET, MANAGER, "application/json", changed)]
    assert (secret.read() or {})["data"] == changed["data"]


def test_a_secret_that_was_never_read_is_created(api: WritableApiServer, secret: CertificateSecret) -> None:
    api.kept[SECRET].force(None)

    secret.write({"metadata": {}, "data": {}})

    named = {"metadata": {"name": "podrole-injector-certs", "namespace": "podrole-system"}, "data": {}}
    assert api.changes == [Sent("POST", SECRETS, MANAGER, "application/json", named)]
    assert secret.read()


def test_a_secret_that_was_created_or_deleted_meanwhile_is_a_conflict(
    api: WritableApiServer, secret: CertificateSecret
) -> None:
    read = secret.read()
    assert read

    with pytest.raises(ConflictError, match=r"cannot (create|patch) .*: .* has been modified \(409\)"):
        secret.write({"metadata": {}})
    api.kept[SECRET].force(None)
    with pytest.raises(ConflictError, match="deleted before it could be updated"):
        secret.write(read)


def test_the_configuration_is_patched_by_the_names_of_its_webhooks(
    api: WritableApiServer, webhooks: WebhookConfiguration
) -> None:
    read = webhooks.read()
    assert read
    change = {
        "metadata": {"resourceVersion": read["metadata"]["resourceVersion"], "annotations": {}},
        "webhooks": [{"name": webhook["name"], "clientConfig": {"caBundle": ""}} for webhook in read["webhooks"]],
    }

    webhooks.patch(change)

    assert api.changes == [Sent("PATCH", CONFIGURATION, MANAGER, STRATEGIC_MERGE, change)]
    with pytest.raises(ConflictError, match=r"cannot (create|patch) .*: .* has been modified \(409\)"):
        webhooks.patch(change)
    api.kept[CONFIGURATION].force(None)
    with pytest.raises(ConflictError, match="deleted before it could be patched"):
        webhooks.patch(change)


def test_a_watch_is_of_one_name_and_tells_whether_something_happened(
    api: WritableApiServer, webhooks: WebhookConfiguration
) -> None:
    quiet = webhooks.wait_for_change("100", 0)
    api.put(CONFIGURATIONS, "podrole-injector")
    told = webhooks.wait_for_change("100", 5)

    assert (quiet, told) == (False, True)
    assert api.requests[-1].query == {
        "fieldSelector": "metadata.name=podrole-injector",
        "resourceVersion": "100",
        "timeoutSeconds": "5",
        "watch": "true",
    }


def test_a_refusal_is_told_in_the_api_servers_own_words(
    api: WritableApiServer, secret: CertificateSecret, webhooks: WebhookConfiguration
) -> None:
    api.fail_next(SECRET, refuse, watch=False)
    api.fail_next(CONFIGURATIONS, refuse)

    with pytest.raises(ClusterError, match=r'cannot get Secret .*-certs: User "eve" cannot do that \(403\)'):
        secret.read()
    with pytest.raises(ClusterError, match=r'cannot watch .* podrole-injector: User "eve" cannot do that \(403\)'):
        webhooks.wait_for_change("1", 1)


def test_an_answer_that_is_no_json_is_an_error_of_the_cluster(
    api: WritableApiServer, secret: CertificateSecret
) -> None:
    def babble(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Content-Length", "4")
        exchange.end_headers()
        exchange.wfile.write(b"<ok>")

    api.fail_next(SECRET, babble, watch=False)

    with pytest.raises(ClusterError, match=r"cannot get Secret .*: the answer is not JSON: Expecting value"):
        secret.read()
