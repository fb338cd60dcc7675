"""What somebody changed in podrole's webhooks is found, with a command that can be copied."""

import json
import shlex
from typing import Any

import jsonpatch
import pytest

from injector.certs.registration import MATCH_CONDITIONS
from tests.unit.podrole.diagnosis.states import (
    build_configuration,
    build_warnings,
    build_webhook,
    diagnose_with,
    list_concerns,
    list_concerns_with,
)

[MIRROR] = ({"name": name, "expression": expression} for name, expression in MATCH_CONDITIONS.items())
OPT_OUT = {"name": "opt-out", "expression": "false"}
OTHER = {"name": "evil.example.com"}
CLIENT = build_webhook()["clientConfig"]
SERVICE = CLIENT["service"]
SELECTOR = build_webhook()["namespaceSelector"]
RULE = build_webhook()["rules"][0]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"matchConditions": [MIRROR, OPT_OUT]}, "ConditionAdded", id="condition"),
        pytest.param({"matchConditions": [{**MIRROR, "expression": "false"}]}, "ConditionAdded", id="expression"),
        pytest.param({"objectSelector": {"matchLabels": {"a": "b"}}}, "ObjectsLeftOut", id="objects"),
        pytest.param({"timeoutSeconds": 1}, "TimeoutShort", id="timeout"),
        pytest.param({"rules": [RULE, {**RULE, "resources": ["secrets"]}]}, "RulesAdded", id="rules"),
        pytest.param(
            {"namespaceSelector": {**SELECTOR, "matchLabels": {"podrole.io/injection": "enabled", "a": "b"}}},
            "NamespacesLeftOut",
            id="namespaces",
        ),
        pytest.param({"clientConfig": {**CLIENT, "service": {**SERVICE, "path": "/warn"}}}, "PathChanged", id="path"),
    ],
)
def test_change_of_the_webhook_is_the_only_concern(changes: dict[str, Any], code: str) -> None:
    assert list_concerns_with(webhooks=[build_configuration(build_webhook(**changes))]) == [code]


def test_cluster_without_changes_has_no_concern() -> None:
    assert (
        list_concerns_with(webhooks=[build_configuration(build_webhook(matchConditions=[MIRROR], objectSelector={}))])
        == []
    )


def run(configuration: dict[str, Any], command: str) -> dict[str, Any]:
    """Do what the command does."""
    program, verb, kind, name, *options, patch = shlex.split(command)
    assert (program, verb, kind) == ("kubectl", "patch", "mutatingwebhookconfiguration")
    assert (name, options) == (configuration["metadata"]["name"], ["--type", "json", "--patch"])
    patched: dict[str, Any] = jsonpatch.JsonPatch(json.loads(patch)).apply(configuration)
    return patched


@pytest.mark.parametrize("position", [0, 1], ids=["before", "after"])
def test_commands_in_their_order_remove_all_that_was_added(position: int) -> None:
    conditions = [OPT_OUT, MIRROR, {**OPT_OUT, "name": "again"}]
    webhooks = [build_webhook(matchConditions=conditions)]
    webhooks.insert(position, build_webhook("evil.example.com", rules=[]))
    webhooks.append(build_webhook("more.example.com", rules=[]))
    configuration = build_configuration(*webhooks)
    findings = diagnose_with(webhooks=[configuration])
    commands = [one.remedy for one in findings if one.code in {"ConditionAdded", "WebhookAdded"}]

    for command in commands:
        configuration = run(configuration, command)

    assert len(commands) == 4
    assert configuration == build_configuration(build_webhook(matchConditions=[MIRROR]))


@pytest.mark.parametrize(
    ("warnings", "codes"),
    [
        pytest.param(build_warnings(), [], id="as-the-manifests"),
        pytest.param(build_warnings(failurePolicy="Fail"), ["WarningsFailClosed"], id="fail-closed"),
        pytest.param(
            build_warnings(clientConfig={**CLIENT, "caBundle": "Y2E="}), ["WarningsNotTrusted"], id="no-certificate"
        ),
        pytest.param(build_warnings(clientConfig={"service": SERVICE}), ["WarningsNotTrusted"], id="no-ca"),
    ],
)
def test_webhook_that_warns_fails_open_and_has_the_ca(warnings: dict[str, Any], codes: list[str]) -> None:
    assert list_concerns_with(warnings=warnings) == codes


@pytest.mark.parametrize("warnings", [None, build_configuration(OTHER)], ids=["no-configuration", "another-webhook"])
def test_webhook_that_warns_can_be_left_out(warnings: dict[str, Any] | None) -> None:
    findings = diagnose_with(warnings=warnings)

    assert list_concerns(findings) == []
    assert [one.level for one in findings if one.code == "WarningsNotRegistered"] == ["note"]
