"""Parsing and building the Secret and the webhook configuration."""

from base64 import b64decode, b64encode
from typing import Any

import pytest

from injector.certs.ca_store import (
    CaBundleState,
    SecretState,
    build_ca_bundle_patch,
    build_date_patch,
    build_secret,
    parse_secret,
    parse_webhook_configuration,
)
from injector.certs.loading import parse_certificates
from tests.unit.injector.certs.rotation_examples import (
    FOREIGN_CA,
    NEW_CA,
    NEW_LEAF,
    NOW,
    OLD,
    OLD_CA,
    OLD_LEAF,
    ROTATED,
    published,
)

SECRET = {"metadata": {"resourceVersion": "7"}, **build_secret(None, ROTATED)}


def change(key: str, value: str) -> dict[str, Any]:
    return {**SECRET, "data": {**SECRET["data"], key: b64encode(value.encode()).decode()}}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (change("ca.crt", "rubbish"), "ca.crt: it contains no PEM certificate"),
        (change("ca.key", OLD.key_pem), "ca.crt and ca.key: the key belongs to another certificate"),
        (change("tls.crt", NEW_LEAF.certificate.pem[:200]), "tls.crt and tls.key: it contains no PEM certificate"),
        (change("tls.key", ""), "tls.key: missing or not text"),
        (change("tls.key", OLD_LEAF.key_pem), "tls.crt and tls.key: the key belongs to another certificate"),
        ({**SECRET, "data": {**SECRET["data"], "tls.key": "%"}}, "tls.key: missing or not text"),
        (
            {**SECRET, "metadata": {"annotations": {"podrole.io/rotate": "yes"}}},
            "annotation podrole.io/rotate is 'yes': must be one of ca, leaf, drop",
        ),
    ],
    ids=["ca-crt", "other-ca-key", "half-tls-crt", "empty-tls-key", "other-tls-key", "not-base64", "invalid-request"],
)
def test_damaged_part_of_secret_is_a_problem_that_names_the_key(document: dict[str, Any], problem: str) -> None:
    assert [found for found in parse_secret(document).problems if found.startswith(problem)]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(None, id="missing"),
        pytest.param({"metadata": {}}, id="without-data"),
        pytest.param({"metadata": {"annotations": None}, "data": None}, id="null-data"),
    ],
)
def test_missing_or_empty_secret_has_no_problems(document: dict[str, Any] | None) -> None:
    assert parse_secret(document) == SecretState()
    assert parse_secret(document).problems == ()


def test_unrelated_data_and_annotations_of_secret_stay() -> None:
    annotations = {"podrole.io/rotate": "ca", "team": "platform"}
    document = {
        "metadata": {"resourceVersion": "7", "annotations": annotations},
        "type": "Opaque",
        "data": {"x": "eA=="},
    }

    result = build_secret(document, ROTATED)

    assert result["metadata"] == {"resourceVersion": "7", "annotations": {"team": "platform"}}
    assert result["data"]["x"] == "eA=="
    assert b64decode(result["data"]["ca.crt"]).decode() == NEW_CA.pem + OLD_CA.pem


def webhook(name: str, bundle: str = "") -> dict[str, Any]:
    encoded = {"caBundle": b64encode(bundle.encode()).decode()} if bundle else {}
    return {"name": name, "clientConfig": {"service": {"name": "podrole-injector"}, **encoded}}


def test_patch_sets_every_ca_bundle_and_names_the_resource_version() -> None:
    document = {"metadata": {"resourceVersion": "9"}, "webhooks": [webhook("a"), webhook("b", FOREIGN_CA.pem)]}

    patch = build_ca_bundle_patch(document, (NEW_CA, OLD_CA), NOW)

    assert patch["metadata"]["resourceVersion"] == "9"
    assert [entry["name"] for entry in patch["webhooks"]] == ["a", "b"]
    for entry in patch["webhooks"]:
        assert parse_certificates(b64decode(entry["clientConfig"]["caBundle"]).decode()) == (NEW_CA, OLD_CA)
    patched = {"metadata": {"annotations": patch["metadata"]["annotations"]}, "webhooks": patch["webhooks"]}
    assert parse_webhook_configuration(patched) == published(NEW_CA, OLD_CA)


def test_two_patches_of_the_date_in_one_second_differ() -> None:
    """The API server gives an object no new resourceVersion if nothing changes."""
    document = {"metadata": {"resourceVersion": "9"}, "webhooks": [webhook("a")]}

    first, second = (build_date_patch(document, NOW + seconds) for seconds in (0.25, 0.5))

    assert first != second
    assert first.keys() == {"metadata"}
    assert first["metadata"]["resourceVersion"] == "9"


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(None, id="missing"),
        pytest.param({"metadata": {}}, id="no-webhooks"),
        pytest.param({"metadata": {}, "webhooks": []}, id="empty-list"),
    ],
)
def test_configuration_without_webhooks_has_no_ca_bundle(document: dict[str, Any] | None) -> None:
    assert parse_webhook_configuration(document) is None


@pytest.mark.parametrize(
    "annotations",
    [
        pytest.param(None, id="null"),
        pytest.param({}, id="missing"),
        pytest.param({"podrole.io/ca-bundle-since": "yesterday"}, id="not-a-date"),
    ],
)
def test_missing_or_invalid_annotation_gives_no_publication_time(annotations: dict[str, str] | None) -> None:
    document = {"metadata": {"annotations": annotations}, "webhooks": [webhook("a", OLD_CA.pem)]}

    assert parse_webhook_configuration(document) == CaBundleState(((OLD_CA,),), None)
