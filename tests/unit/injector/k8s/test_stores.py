"""The requests of CertificateSecret and WebhookConfiguration, and what they make of each answer."""

from collections.abc import Iterator

import pytest

from injector.errors import ClusterError, ConflictError
from injector.k8s.request import STRATEGIC_MERGE
from injector.k8s.secret import MAX_JSON_BYTES, CertificateSecret
from injector.k8s.webhook_configuration import WebhookConfiguration
from testing.api_status import build_absence, build_status
from testing.fake_api_server import (
    CONFIGURATION,
    CONFIGURATIONS,
    SECRET,
    SECRETS,
    WritableApiServer,
    WriteRequest,
    writable_api_server,
)
from testing.fake_list_watch_server import RequestHandler

MANAGER = {"fieldManager": "podrole-injector"}
FORBIDDEN = build_status(403, "Forbidden", 'User "eve" cannot do that')


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


def forbid(handler: RequestHandler) -> None:
    handler.send_document(403, FORBIDDEN)


def test_absent_secret_and_configuration_are_none(
    api: WritableApiServer, secret: CertificateSecret, webhooks: WebhookConfiguration
) -> None:
    for stored in api.stored.values():
        stored.force(None)

    assert secret.read() is None
    assert webhooks.read() is None


def test_secret_update_names_the_injector_as_field_manager(api: WritableApiServer, secret: CertificateSecret) -> None:
    read = secret.read()
    assert read
    changed = {**read, "data": {"tls.key": "c2VjcmV0"}}

    secret.write(changed)

    assert api.writes == [WriteRequest("PUT", SECRET, MANAGER, "application/json", changed)]
    assert (secret.read() or {})["data"] == changed["data"]


def test_secret_without_a_resource_version_is_created(api: WritableApiServer, secret: CertificateSecret) -> None:
    api.stored[SECRET].force(None)

    secret.write({"metadata": {}, "data": {}})

    named = {"metadata": {"name": "podrole-injector-certs", "namespace": "podrole-system"}, "data": {}}
    assert api.writes == [WriteRequest("POST", SECRETS, MANAGER, "application/json", named)]
    assert secret.read()


def test_forbidden_create_names_the_command_that_creates_the_secret(
    api: WritableApiServer, secret: CertificateSecret
) -> None:
    api.fail_next(SECRETS, forbid, watch=False)
    command = "kubectl create secret generic podrole-injector-certs --namespace podrole-system"

    with pytest.raises(ClusterError, match=rf'User "eve" cannot do that \(403\)\. It does not exist; .*: {command}'):
        secret.write({"metadata": {}, "data": {}})


def test_create_in_a_missing_namespace_is_an_error(api: WritableApiServer, secret: CertificateSecret) -> None:
    absence = build_absence("namespaces", "podrole-system")
    api.fail_next(SECRETS, lambda handler: handler.send_document(*absence), watch=False)

    with pytest.raises(ClusterError, match="there is no namespace podrole-system"):
        secret.write({"metadata": {}, "data": {}})


def test_secret_created_or_deleted_since_the_read_is_a_conflict(
    api: WritableApiServer, secret: CertificateSecret
) -> None:
    read = secret.read()
    assert read

    with pytest.raises(ConflictError, match=r"cannot (create|patch) .*: .* has been modified \(409\)"):
        secret.write({"metadata": {}})
    api.stored[SECRET].force(None)
    with pytest.raises(ConflictError, match="deleted before it could be updated"):
        secret.write(read)


def test_configuration_gets_a_strategic_merge_patch(api: WritableApiServer, webhooks: WebhookConfiguration) -> None:
    read = webhooks.read()
    assert read
    change = {
        "metadata": {"resourceVersion": read["metadata"]["resourceVersion"], "annotations": {}},
        "webhooks": [{"name": webhook["name"], "clientConfig": {"caBundle": ""}} for webhook in read["webhooks"]],
    }

    webhooks.patch(change)

    assert api.writes == [WriteRequest("PATCH", CONFIGURATION, MANAGER, STRATEGIC_MERGE, change)]
    with pytest.raises(ConflictError, match=r"cannot (create|patch) .*: .* has been modified \(409\)"):
        webhooks.patch(change)
    api.stored[CONFIGURATION].force(None)
    with pytest.raises(ConflictError, match="deleted before it could be patched"):
        webhooks.patch(change)


def test_watch_selects_one_configuration_and_reports_a_change(
    api: WritableApiServer, webhooks: WebhookConfiguration
) -> None:
    unchanged = webhooks.wait_for_change("100", 0)
    api.put(CONFIGURATIONS, "podrole-injector")
    changed = webhooks.wait_for_change("100", 5)

    assert (unchanged, changed) == (False, True)
    assert api.requests[-1].query == {
        "fieldSelector": "metadata.name=podrole-injector",
        "resourceVersion": "100",
        "timeoutSeconds": "5",
        "watch": "true",
    }


def test_error_has_the_api_servers_message(
    api: WritableApiServer, secret: CertificateSecret, webhooks: WebhookConfiguration
) -> None:
    api.fail_next(SECRET, forbid, watch=False)
    api.fail_next(CONFIGURATIONS, forbid)

    with pytest.raises(ClusterError, match=r'cannot get Secret .*-certs: User "eve" cannot do that \(403\)'):
        secret.read()
    with pytest.raises(ClusterError, match=r'cannot watch .* podrole-injector: User "eve" cannot do that \(403\)'):
        webhooks.wait_for_change("1", 1)


def test_answer_that_is_not_json_raises_cluster_error(api: WritableApiServer, secret: CertificateSecret) -> None:
    def send_text(handler: RequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "4")
        handler.end_headers()
        handler.wfile.write(b"<ok>")

    api.fail_next(SECRET, send_text, watch=False)

    with pytest.raises(ClusterError, match=r"cannot get Secret .*: the answer is not JSON: Expecting value"):
        secret.read()


@pytest.mark.parametrize("version", [None, "", 7, ["1"]], ids=["missing", "empty", "number", "list"])
@pytest.mark.parametrize("path", [SECRET, CONFIGURATION], ids=["secret", "configuration"])
def test_object_without_a_version_is_an_error(
    api: WritableApiServer, secret: CertificateSecret, webhooks: WebhookConfiguration, path: str, version: object
) -> None:
    document = api.stored[path].document
    assert document is not None
    document["metadata"]["resourceVersion"] = version

    with pytest.raises(ClusterError, match="answer is not valid: it has no resourceVersion"):
        (secret if path == SECRET else webhooks).read()


@pytest.mark.parametrize("path", [SECRET, CONFIGURATION], ids=["secret", "configuration"])
def test_object_over_its_limit_is_an_error(
    api: WritableApiServer, secret: CertificateSecret, webhooks: WebhookConfiguration, path: str
) -> None:
    document = api.stored[path].document
    assert document is not None
    document["metadata"]["annotations"] = {"note": "x" * MAX_JSON_BYTES}

    with pytest.raises(ClusterError, match="has more than 4 MiB"):
        (secret if path == SECRET else webhooks).read()
