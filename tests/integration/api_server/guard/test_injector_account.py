"""The injector's account changes nothing of its webhook configurations but caBundle."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from injector.certs.ca_store import build_ca_bundle_patch, parse_webhook_configuration
from injector.certs.x509 import Lifetimes, issue_ca
from testing.cluster.api import STRATEGIC_MERGE, ApiServer, RefusedError
from testing.repository import ROOT

ACCOUNT = "system:serviceaccount:podrole-system:podrole-injector"
NAME = "podrole-injector"
CONFIGURATION = ("MutatingWebhookConfiguration", NAME)
OF_WARNINGS = ("ValidatingWebhookConfiguration", NAME)
JSON_PATCH = "application/json-patch+json"
REFUSED = r"podrole-injector.* denied request: \[InjectorLimited\] "


@pytest.fixture
def account(guarded: ApiServer) -> Iterator[ApiServer]:
    """The injector's account, with more permissions than it has: only the policy limits it."""
    configuration = yaml.safe_load((ROOT / "kustomize/base/webhook.yaml").read_text())
    configuration["webhooks"] = [configuration["webhooks"][0], copy.deepcopy(configuration["webhooks"][0])]
    configuration["webhooks"][1]["name"] = "workloads.podrole.io"
    for webhook in configuration["webhooks"]:
        webhook["namespaceSelector"]["matchLabels"] = {"example.com/nowhere": "true"}
    configuration["metadata"] |= {"labels": {"a": "b"}, "annotations": {"c": "d"}}
    guarded.create(configuration)
    try:
        yield guarded.impersonate(ACCOUNT, "system:masters")
    finally:
        guarded.delete(*CONFIGURATION)


def operation(op: str, path: str, value: Any = None) -> list[dict[str, Any]]:
    return [{"op": op, "path": path} | ({} if op == "remove" else {"value": value})]


RULE = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
SECRETS = {**RULE, "resources": ["secrets"]}
ELSEWHERE = {"clientConfig": {"url": "https://evil.example", "caBundle": "Y2E="}}
CHANGES: dict[str, list[dict[str, Any]]] = {
    "all-resources": operation("replace", "/webhooks/0/rules", [RULE]),
    "another-rule": operation("add", "/webhooks/1/rules/-", SECRETS),
    "all-namespaces": operation("remove", "/webhooks/0/namespaceSelector"),
    "all-objects-of-a-namespace": operation("remove", "/webhooks/0/matchConditions"),
    "scope": operation("replace", "/webhooks/0/rules/0/scope", "*"),
    "failure-policy": operation("replace", "/webhooks/0/failurePolicy", "Ignore"),
    "timeout": operation("replace", "/webhooks/0/timeoutSeconds", 1),
    "service": operation("replace", "/webhooks/0/clientConfig/service/name", "evil"),
    "service-path": operation("remove", "/webhooks/0/clientConfig/service/path"),
    "service-port": operation("replace", "/webhooks/0/clientConfig/service/port", 8443),
    "url": operation("replace", "/webhooks/0/clientConfig", ELSEWHERE["clientConfig"]),
    "webhook-removed": operation("remove", "/webhooks/1"),
    "webhooks-removed": operation("remove", "/webhooks"),
    "webhook-renamed": operation("replace", "/webhooks/1/name", "evil.example.com"),
    "label": operation("add", "/metadata/labels/e", "f"),
    "label-value": operation("replace", "/metadata/labels/a", "f"),
    "annotation": operation("add", "/metadata/annotations/e", "f"),
    "annotation-value": operation("replace", "/metadata/annotations/c", "f"),
    "annotation-removed": operation("remove", "/metadata/annotations"),
    "finalizer": operation("add", "/metadata/finalizers", ["example.com/keep"]),
    "rule-and-bundle": [
        *operation("add", "/webhooks/0/clientConfig/caBundle", "Y2E="),
        *operation("replace", "/webhooks/0/rules", [RULE]),
    ],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_change_of_the_configuration_is_refused(account: ApiServer, change: list[dict[str, Any]]) -> None:
    with pytest.raises(RefusedError, match=REFUSED):
        account.patch(CONFIGURATION, change, how=JSON_PATCH)


def test_added_webhook_is_refused(account: ApiServer) -> None:
    webhook = account.read(*CONFIGURATION)["webhooks"][0]
    webhook |= {"name": "evil.example.com", "rules": [RULE]}

    with pytest.raises(RefusedError, match=REFUSED):
        account.patch(CONFIGURATION, operation("add", "/webhooks/-", webhook), how=JSON_PATCH)


def test_ca_bundle_can_be_added_changed_and_removed(account: ApiServer) -> None:
    for index in (0, 1):
        path = f"/webhooks/{index}/clientConfig/caBundle"
        account.patch(CONFIGURATION, operation("add", path, "Y2E="), how=JSON_PATCH)
        account.patch(CONFIGURATION, operation("replace", path, "Y2I="), how=JSON_PATCH)
    account.patch(CONFIGURATION, operation("remove", "/webhooks/1/clientConfig/caBundle"), how=JSON_PATCH)

    stored = account.read(*CONFIGURATION)["webhooks"]
    assert [webhook["clientConfig"].get("caBundle") for webhook in stored] == ["Y2I=", None]


def test_patch_of_the_injector_is_accepted_first_and_again(account: ApiServer) -> None:
    ca = issue_ca(0, Lifetimes()).certificate
    for now in (0, 60):
        change = build_ca_bundle_patch(account.read(*CONFIGURATION), [ca], now)
        account.patch(CONFIGURATION, change, how=STRATEGIC_MERGE)

    bundle = parse_webhook_configuration(account.read(*CONFIGURATION))
    assert bundle is not None
    assert (bundle.contains_exactly((ca,)), bundle.since) == (True, 60)


@pytest.mark.usefixtures("account")
def test_other_users_can_change_the_configuration(guarded: ApiServer) -> None:
    changed = guarded.patch(CONFIGURATION, CHANGES["timeout"], how=JSON_PATCH).object

    assert changed["webhooks"][0]["timeoutSeconds"] == 1


def test_injector_creates_and_deletes_no_configuration(account: ApiServer) -> None:
    """Its permissions exclude that too; the policy also holds where an operator granted more."""
    manifest = {"apiVersion": "admissionregistration.k8s.io/v1", "webhooks": [], "metadata": {"name": "another"}}

    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        with pytest.raises(RefusedError, match=REFUSED):
            account.create({**manifest, "kind": kind})
    with pytest.raises(RefusedError, match=REFUSED):
        account.delete(*CONFIGURATION)


@pytest.fixture
def account_of_warnings(guarded: ApiServer) -> Iterator[ApiServer]:
    """As above, with the configuration of the webhook that warns."""
    configuration = yaml.safe_load((ROOT / "kustomize/base/warnings.yaml").read_text())
    [webhook] = configuration["webhooks"]
    webhook["namespaceSelector"]["matchLabels"] = {"example.com/nowhere": "true"}
    configuration["metadata"] |= {"labels": {"a": "b"}, "annotations": {"c": "d"}}
    guarded.create(configuration)
    try:
        yield guarded.impersonate(ACCOUNT, "system:masters")
    finally:
        guarded.delete(*OF_WARNINGS)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change, id=name)
        for name, change in {
            **CHANGES,
            "failure-policy": operation("replace", "/webhooks/0/failurePolicy", "Fail"),
        }.items()
        if not any("/webhooks/1" in one["path"] for one in change)
    ],
)
def test_change_of_the_configuration_of_warnings_is_refused(
    account_of_warnings: ApiServer, change: list[dict[str, Any]]
) -> None:
    with pytest.raises(RefusedError, match=REFUSED):
        account_of_warnings.patch(OF_WARNINGS, change, how=JSON_PATCH)


def test_patch_of_the_injector_to_the_configuration_of_warnings_is_accepted_first_and_again(
    account_of_warnings: ApiServer,
) -> None:
    ca = issue_ca(0, Lifetimes()).certificate
    for now in (0, 60):
        change = build_ca_bundle_patch(account_of_warnings.read(*OF_WARNINGS), [ca], now)
        account_of_warnings.patch(OF_WARNINGS, change, how=STRATEGIC_MERGE)

    bundle = parse_webhook_configuration(account_of_warnings.read(*OF_WARNINGS))
    assert bundle is not None
    assert bundle.contains_exactly((ca,))
