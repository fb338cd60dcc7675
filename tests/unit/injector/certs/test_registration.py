"""Which differences of the webhook configuration matter."""

import copy
from typing import Any

import pytest
import yaml

from injector.certs.registration import FIELDS, MATCH_CONDITIONS, ServiceName, find_drift
from testing.repository import ROOT

SERVICE = ServiceName("podrole-system", "podrole-injector")
BASE: dict[str, Any] = yaml.safe_load((ROOT / "kustomize/base/webhook.yaml").read_text())
NONE = dict.fromkeys(FIELDS, False)
SYSTEM = ["podrole-system", "kube-system", "kube-public", "kube-node-lease"]
RULE = BASE["webhooks"][0]["rules"][0]
LABELLED = {"key": "podrole.io/injection", "operator": "In", "values": ["enabled"]}
EXCLUDED = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": SYSTEM}
OPT_OUT = {"name": "opt-out", "expression": "object.metadata.labels['team'] != 'shop'"}


def change(**fields: Any) -> dict[str, Any]:
    """The configuration of the manifests with other values; None: without the field."""
    configuration = copy.deepcopy(BASE)
    [entry] = configuration["webhooks"]
    for field, value in fields.items():
        entry[field] = value
        if value is None:
            del entry[field]
    return configuration


def list_drift(configuration: Any) -> list[str]:
    return [field for field, differs in find_drift(configuration, SERVICE).items() if differs]


def test_manifests_have_no_drift_and_every_field_a_value() -> None:
    assert find_drift(BASE, SERVICE) == NONE


def test_expected_conditions_are_those_of_the_manifests() -> None:
    conditions = BASE["webhooks"][0]["matchConditions"]

    assert {one["name"]: one["expression"] for one in conditions} == MATCH_CONDITIONS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("clientConfig", {"url": "https://evil.example/mutate"}, id="url"),
        pytest.param("clientConfig", {"service": {"namespace": "evil", "name": "podrole-injector"}}, id="service"),
        pytest.param("clientConfig", {"service": {**SERVICE._asdict(), "path": "/warn"}}, id="path"),
        pytest.param("clientConfig", None, id="no-client"),
        pytest.param("failurePolicy", "Ignore", id="ignore"),
        pytest.param("matchConditions", [OPT_OUT], id="condition"),
        pytest.param("matchConditions", [*BASE["webhooks"][0]["matchConditions"], OPT_OUT], id="added-condition"),
        pytest.param("matchConditions", [{"name": "no-mirror-pod", "expression": "false"}], id="other-expression"),
        pytest.param("namespaceSelector", {}, id="all-namespaces"),
        pytest.param("namespaceSelector", None, id="no-namespace-selector"),
        pytest.param("namespaceSelector", {"matchExpressions": [EXCLUDED]}, id="without-the-label"),
        pytest.param("namespaceSelector", {"matchExpressions": [LABELLED]}, id="system-namespaces"),
        pytest.param(
            "namespaceSelector", {"matchExpressions": [{**LABELLED, "values": ["enabled", "other"]}, EXCLUDED]},
            id="another-value",
        ),
        pytest.param(
            "namespaceSelector", {"matchExpressions": [LABELLED, EXCLUDED], "matchLabels": {"a": "b"}}, id="label"
        ),
        pytest.param(
            "namespaceSelector",
            {"matchExpressions": [LABELLED, EXCLUDED, {"key": "podrole.io/injection", "operator": "DoesNotExist"}]},
            id="contradiction",
        ),
        pytest.param("objectSelector", {"matchLabels": {"a": "b"}}, id="object-label"),
        pytest.param("objectSelector", {"matchExpressions": [{"key": "a", "operator": "Exists"}]}, id="object-key"),
        pytest.param("reinvocationPolicy", "Never", id="never-again"),
        pytest.param("reinvocationPolicy", None, id="no-reinvocation-policy"),
        pytest.param("rules", [], id="no-rule"),
        pytest.param("rules", None, id="no-rules"),
        pytest.param("rules", [{**RULE, "operations": ["DELETE"]}], id="other-operation"),
        pytest.param("rules", [{**RULE, "resources": ["pods", "secrets"]}], id="more-resources"),
        pytest.param("rules", [{**RULE, "scope": "Cluster"}], id="cluster-scope"),
        pytest.param("rules", [RULE, {**RULE, "resources": ["secrets"]}], id="more-rules"),
        pytest.param("sideEffects", "Some", id="side-effects"),
        pytest.param("timeoutSeconds", 1, id="short-timeout"),
    ],
)  # fmt: skip
def test_change_that_matters_is_drift(field: str, value: Any) -> None:
    assert list_drift(change(**{field: value})) == [field]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"objectSelector": None}, id="no-object-selector"),
        pytest.param({"failurePolicy": None}, id="default-failure-policy"),
        pytest.param({"matchConditions": None}, id="no-conditions"),
        pytest.param({"sideEffects": "NoneOnDryRun"}, id="none-on-dry-run"),
        pytest.param({"timeoutSeconds": 30}, id="longer-timeout"),
        pytest.param({"timeoutSeconds": None}, id="default-timeout"),
        pytest.param({"rules": [{**RULE, "scope": "*"}]}, id="scope"),
        pytest.param({"matchPolicy": "Exact"}, id="match-policy"),
        pytest.param(
            {"namespaceSelector": {"matchExpressions": [LABELLED, {**EXCLUDED, "values": [*SYSTEM, "monitoring"]}]}},
            id="another-namespace-excluded",
        ),
        pytest.param(
            {
                "namespaceSelector": {
                    "matchLabels": {"podrole.io/injection": "enabled"},
                    "matchExpressions": [EXCLUDED, {**EXCLUDED, "values": ["monitoring"]}],
                }
            },
            id="label-and-two-exclusions",
        ),
    ],
)
def test_change_that_an_overlay_can_make_is_none(fields: dict[str, Any]) -> None:
    assert list_drift(change(**fields)) == []


def test_port_and_ca_bundle_are_not_compared() -> None:
    client = {"service": {**SERVICE._asdict(), "path": "/mutate", "port": 8443}, "caBundle": "Y2E="}

    assert list_drift(change(clientConfig=client)) == []


@pytest.mark.parametrize(
    "configuration",
    [
        pytest.param(None, id="no-configuration"),
        pytest.param({}, id="empty"),
        pytest.param({"webhooks": None}, id="null"),
        pytest.param({"webhooks": {"name": "pods.podrole.io"}}, id="object"),
        pytest.param({"webhooks": ["pods.podrole.io"]}, id="strings"),
        pytest.param({"webhooks": [{**BASE["webhooks"][0], "name": "evil.example.com"}]}, id="renamed"),
        pytest.param({"webhooks": [*BASE["webhooks"], {"name": "evil.example.com"}]}, id="added"),
    ],
)
def test_missing_or_added_webhook_is_drift(configuration: Any) -> None:
    assert list_drift(configuration) == ["webhooks"]


VALUES = {
    "number": 1,
    "text": "x",
    "list": [1],
    "object": {"a": 1},
    "selector": {"matchExpressions": [1]},
    "client": {"service": 1},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("field", [one for one in FIELDS if one != "webhooks"])
def test_value_of_another_type_raises_nothing(field: str, value: Any) -> None:
    """The API server stores none: a stand-in or a broken proxy can send it."""
    find_drift(change(**{field: value}), SERVICE)
