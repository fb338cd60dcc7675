"""`kubectl apply` undoes what somebody else changed in a webhook configuration, and keeps the injector's caBundle."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from injector.certs.registration import ServiceName, can_refuse_workloads, find_drift
from testing.cluster.manifests import KUSTOMIZE, Kubectl, Manifest

SERVICE = ServiceName("podrole-system", "podrole-injector")
MUTATING, VALIDATING = "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"
APPLY = {"client-side": ("apply",), "server-side": ("apply", "--server-side", "--force-conflicts")}
CA = "Y2E="

OTHER_RULE = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["secrets"],
    "scope": "*",
}
LABEL = {"matchLabels": {"team": "shop"}}
EXPRESSION = {"matchExpressions": [{"key": "team", "operator": "In", "values": ["shop"]}]}


def replace(field: str, value: Any) -> list[Manifest]:
    return [{"op": "replace", "path": f"/webhooks/0/{field}", "value": value}]


CHANGES: dict[str, list[Manifest]] = {
    "objects-with-a-label": replace("objectSelector", LABEL),
    "objects-by-an-expression": replace("objectSelector", EXPRESSION),
    "objects-by-both": replace("objectSelector", LABEL | EXPRESSION),
    "all-namespaces": replace("namespaceSelector", {}),
    "namespaces-with-a-label": replace("namespaceSelector/matchLabels", {"team": "shop"}),
    "namespaces-by-an-expression": replace("namespaceSelector", EXPRESSION),
    "other-rule": replace("rules", [OTHER_RULE]),
    "no-rules": replace("rules", []),
    "more-operations": replace("rules/0/operations", ["CREATE", "UPDATE", "DELETE"]),
    "scope": replace("rules/0/scope", "*"),
    "other-condition": replace("matchConditions/0/expression", "false"),
    "no-conditions": [{"op": "remove", "path": "/webhooks/0/matchConditions"}],
    "match-policy": replace("matchPolicy", "Exact"),
    "side-effects": replace("sideEffects", "NoneOnDryRun"),
    "timeout": replace("timeoutSeconds", 1),
    "service": replace("clientConfig/service/name", "evil"),
    "path": replace("clientConfig/service/path", "/evil"),
    "port": replace("clientConfig/service/port", 8443),
    "url": [
        {"op": "remove", "path": "/webhooks/0/clientConfig/service"},
        {"op": "add", "path": "/webhooks/0/clientConfig/url", "value": "https://evil.example"},
    ],
    "webhook-removed": [{"op": "remove", "path": "/webhooks/0"}],
}
OF_KIND: dict[str, dict[str, list[Manifest]]] = {
    MUTATING: {
        "failure-policy": replace("failurePolicy", "Ignore"),
        "reinvocation": replace("reinvocationPolicy", "Never"),
    },
    VALIDATING: {"failure-policy": replace("failurePolicy", "Fail")},
}
ROWS = [
    pytest.param(kind, change, id=f"{kind}-{name}")
    for kind, more in OF_KIND.items()
    for name, change in (CHANGES | more).items()
]
"""Kind, and what somebody else changed."""

ADDED = {
    "condition": [
        {"op": "add", "path": "/webhooks/0/matchConditions/-", "value": {"name": "opt-out", "expression": "false"}}
    ],
    "webhook": [
        {"op": "copy", "from": "/webhooks/0", "path": "/webhooks/-"},
        {"op": "replace", "path": "/webhooks/1/name", "value": "evil.example.com"},
    ],
}


class Configurations:
    """Both webhook configurations in the cluster, and how they are applied."""

    def __init__(self, kubectl: Kubectl, command: tuple[str, ...]) -> None:
        self.kubectl = kubectl
        self.command = command
        rendered = kubectl.render(KUSTOMIZE / "overlays" / "eks")
        self.manifests = {one["kind"]: one for one in rendered if one["kind"] in {MUTATING, VALIDATING}}

    def apply(self) -> None:
        self.kubectl.run(*self.command, "-f", "-", stdin=yaml.safe_dump_all(self.manifests.values()))

    def delete(self) -> None:
        for kind in (MUTATING, VALIDATING):
            self.kubectl.run("delete", kind, "podrole-injector", "--ignore-not-found")

    def read(self, kind: str) -> Manifest:
        document: Manifest = json.loads(self.kubectl.run("get", kind, "podrole-injector", "--output=json").output)
        return document

    def patch(self, kind: str, how: str, change: Any) -> None:
        manager = "podrole-injector" if how == "strategic" else "kubectl-edit"
        self.kubectl.run(
            "patch",
            kind,
            "podrole-injector",
            f"--type={how}",
            f"--field-manager={manager}",
            f"--patch={json.dumps(change)}",
        )

    def set_ca_bundle(self, kind: str) -> None:
        """As the injector does."""
        names = [one["name"] for one in self.read(kind)["webhooks"]]
        self.patch(
            kind, "strategic", {"webhooks": [{"name": name, "clientConfig": {"caBundle": CA}} for name in names]}
        )


@pytest.fixture(scope="module", params=APPLY, ids=list(APPLY))
def configurations(installed: Kubectl, request: pytest.FixtureRequest) -> Iterator[Configurations]:
    made = Configurations(installed, APPLY[request.param])
    made.delete()
    made.apply()
    for kind in (MUTATING, VALIDATING):
        made.set_ca_bundle(kind)
    yield made
    made.delete()
    Configurations(installed, APPLY["client-side"]).apply()


@pytest.mark.parametrize(("kind", "change"), ROWS)
def test_apply_undoes_a_foreign_change_and_keeps_the_ca_bundle(
    configurations: Configurations, kind: str, change: list[Manifest]
) -> None:
    before = configurations.read(kind)["webhooks"]
    assert [one["clientConfig"]["caBundle"] for one in before] == [CA]
    configurations.patch(kind, "json", change)
    assert configurations.read(kind).get("webhooks") != before

    configurations.apply()
    after = configurations.read(kind)["webhooks"]
    if change == CHANGES["webhook-removed"]:
        configurations.set_ca_bundle(kind)
        after = configurations.read(kind)["webhooks"]

    assert after == before


@pytest.mark.parametrize("change", ADDED.values(), ids=ADDED)
def test_apply_keeps_what_somebody_added_to_a_list_and_the_metric_shows_it(
    configurations: Configurations, change: list[Manifest]
) -> None:
    before = configurations.read(MUTATING)
    assert not any(find_drift(before, SERVICE).values())
    configurations.patch(MUTATING, "json", change)

    configurations.apply()
    after = configurations.read(MUTATING)
    configurations.delete()
    configurations.apply()
    for kind in (MUTATING, VALIDATING):
        configurations.set_ca_bundle(kind)

    assert any(find_drift(after, SERVICE).values())
    assert not can_refuse_workloads(configurations.read(VALIDATING))
    assert configurations.read(MUTATING)["webhooks"] == before["webhooks"]


POLICIES = ("podrole-pods", "podrole-updates", "podrole-ephemeral-containers", "podrole-injector")
OF_POLICY: dict[str, Manifest] = {
    "objects": {"matchConstraints": {"objectSelector": LABEL | EXPRESSION}},
    "namespaces": {"matchConstraints": {"namespaceSelector": LABEL}},
    "resources": {"matchConstraints": {"excludeResourceRules": [OTHER_RULE]}},
    "failure-policy": {"failurePolicy": "Ignore"},
}
OF_BINDING: dict[str, Manifest] = {
    "namespaces": {"matchResources": {"namespaceSelector": LABEL}},
    "actions": {"validationActions": ["Audit"]},
}
GUARD_ROWS = [
    pytest.param(kind, change, id=f"{kind}-{name}")
    for kind, changes in {
        "ValidatingAdmissionPolicy": OF_POLICY,
        "ValidatingAdmissionPolicyBinding": OF_BINDING,
    }.items()
    for name, change in changes.items()
]


@pytest.mark.parametrize(("kind", "change"), GUARD_ROWS)
def test_apply_undoes_a_foreign_change_of_the_guard(installed: Kubectl, kind: str, change: Manifest) -> None:
    rendered = installed.render(KUSTOMIZE / "overlays" / "eks")
    manifests = yaml.safe_dump_all([one for one in rendered if one["kind"] == kind])

    def read() -> list[Manifest]:
        found = json.loads(installed.run("get", kind, *POLICIES, "--output=json").output)
        return [one["spec"] for one in found["items"]]

    installed.run("apply", "-f", "-", stdin=manifests)
    before = read()
    for name in POLICIES:
        installed.run("patch", kind, name, "--type=merge", f"--patch={json.dumps({'spec': change})}")
    assert all(one != old for one, old in zip(read(), before, strict=True))

    installed.run("apply", "-f", "-", stdin=manifests)

    assert read() == before
