"""`kubectl apply` of a workload prints what its pods would meet, and never fails because of the webhook."""

import base64
import uuid
from typing import Any

import pytest
import yaml

from injector.certs.ca_store import parse_webhook_configuration
from testing.cluster.api import ApiServer, Manifest, wait_for
from testing.cluster.manifests import Answer, Kubectl
from testing.cluster.namespaces import Namespaces
from testing.hostile.good_tenant import User
from testing.hostile.installation import NAME, NAMESPACE, Installation
from testing.hostile.objects import LONG_ANNOTATIONS, WIDE_PODS
from testing.hostile.replica import Replica
from tests.integration.api_server.hostile.bounds import attack, holding

ROLE = {"iam.amazonaws.com/role": "reader"}
ALLOWED = {"iam.amazonaws.com/allowed-roles": '["writer"]'}
LABELS = {"app": "web"}
CONTAINER = {"name": "app", "image": "example/app:1"}
WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
NOT_DECIDED = 'podrole_workload_reviews_total{outcome="not-decided"}'
FLOODS = {"plain": 400, **dict.fromkeys((*list(LONG_ANNOTATIONS)[:1], *list(WIDE_PODS)[:1]), 4)}
"""Workloads that a user applies, and how often."""

DENIED = (
    "web: its pods would be denied: [RoleNotAllowed] The namespace does not allow the role "
    "arn:aws:iam::111122223333:role/reader"
)
SELECTED = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")
KINDS = (*SELECTED, "Job", "CronJob", "ReplicationController")
ONCE = ("Job", "CronJob")
CORE = {"ReplicationController": "v1", "Job": "batch/v1", "CronJob": "batch/v1"}


def build_workload(kind: str = "Deployment", template: Manifest = ROLE, **metadata: Any) -> Manifest:
    """A workload that runs no pod; `template` has the annotations of its pods."""
    pod: Manifest = {"metadata": {"labels": LABELS, "annotations": template}, "spec": {"containers": [CONTAINER]}}
    if kind in ONCE:
        pod["spec"]["restartPolicy"] = "Never"
    spec: Manifest = {"template": pod}
    match kind:
        case "Job":
            spec["suspend"] = True
        case "CronJob":
            spec = {"schedule": "@yearly", "suspend": True, "jobTemplate": {"spec": spec}}
        case "ReplicationController":
            spec |= {"selector": LABELS, "replicas": 0}
        case _:
            spec |= {"selector": {"matchLabels": LABELS}}
    if kind in {"Deployment", "ReplicaSet", "StatefulSet"}:
        spec["replicas"] = 0
    if kind == "StatefulSet":
        spec["serviceName"] = "web"
    return {
        "apiVersion": CORE.get(kind, "apps/v1"),
        "kind": kind,
        "metadata": {"name": "web", **metadata},
        "spec": spec,
    }


class Tenant:
    """kubectl in a namespace that allows one role."""

    def __init__(self, kubectl: Kubectl, namespace: str, replicas: list[Replica]) -> None:
        self.kubectl = kubectl
        self.namespace = namespace
        self.replicas = replicas

    def run(self, *arguments: str, stdin: str = "") -> Answer:
        return self.kubectl.run(f"--namespace={self.namespace}", *arguments, stdin=stdin)

    def apply(self, *manifests: Manifest, options: tuple[str, ...] = ()) -> list[str]:
        """Apply these; return the warnings."""
        answer = self.run("apply", *options, "-f", "-", stdin=yaml.safe_dump_all(manifests))
        return [line.removeprefix("Warning: ") for line in answer.errors.splitlines()]

    def count_reviews(self) -> float:
        series = [replica.read_series() for replica in self.replicas]
        return sum(
            float(one[name]) for one in series for name in one if name.startswith("podrole_workload_reviews_total")
        )


@pytest.fixture
def tenant(kubectl: Kubectl, replicas: list[Replica], namespaces: Namespaces) -> Tenant:
    made = Tenant(kubectl, namespaces.make(annotations=ALLOWED), replicas)
    probe = build_workload()
    wait_for("the API server calls the webhook", lambda: made.apply(probe, options=("--dry-run=server",)))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_apply_prints_the_denial_that_the_pods_would_meet(tenant: Tenant, kind: str) -> None:
    [warning] = tenant.apply(build_workload(kind))

    assert warning.startswith(f"{kind} {DENIED}")
    tenant.run("get", kind, "web")


def test_apply_of_a_new_account_and_its_workload_prints_the_denial(tenant: Tenant) -> None:
    """The watch may not have the account yet."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "annotations": ROLE}}
    workload = build_workload(template={})
    workload["spec"]["template"]["spec"]["serviceAccountName"] = "web"

    [warning] = tenant.apply(account, workload)

    assert warning.startswith(f"Deployment {DENIED}")


def test_workload_whose_account_follows_gets_no_warning(tenant: Tenant) -> None:
    workload = build_workload(template={})
    workload["spec"]["template"]["spec"]["serviceAccountName"] = "later"

    assert tenant.apply(workload) == []


def test_role_on_the_workload_itself_is_named_when_it_is_created_and_when_it_is_added(tenant: Tenant) -> None:
    created = tenant.apply(build_workload("StatefulSet", {}, annotations=ROLE))
    tenant.apply(build_workload(template={}))
    added = tenant.run("annotate", "deployment", "web", "iam.amazonaws.com/role=reader").errors

    text = "{0} web: Annotation iam.amazonaws.com/role of the {0} has no effect. Set the annotation"
    assert created[-1].startswith(text.format("StatefulSet"))
    assert added.startswith(f"Warning: {text.format('Deployment')}")


@pytest.mark.parametrize("kind", ["Deployment", "CronJob"])
def test_change_of_anything_but_the_template_costs_no_review(tenant: Tenant, kind: str) -> None:
    tenant.apply(build_workload(kind))
    changed = build_workload(kind)
    if kind == "Deployment":
        changed["spec"] |= {"paused": True, "revisionHistoryLimit": 3}
    else:
        changed["spec"] |= {"schedule": "@monthly"}
    wait_for(
        "the controller has seen it",
        lambda: kind == "CronJob" or "revision" in tenant.run("get", "deployment", "web", "--output=json").output,
    )
    before = tenant.count_reviews()

    warnings = tenant.apply(changed)
    if kind == "Deployment":
        tenant.run("scale", "deployment", "web", "--replicas=1")

    assert warnings == []
    assert tenant.count_reviews() == before


def test_what_a_controller_creates_costs_no_review(tenant: Tenant) -> None:
    tenant.apply(build_workload("CronJob", {"iam.amazonaws.com/role": "writer"}))
    before = tenant.count_reviews()

    owner = tenant.run("get", "cronjob", "web", "--output=jsonpath={.metadata.uid}").output
    job = build_workload("Job")
    reference = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "web", "uid": owner, "controller": True}
    job["metadata"]["ownerReferences"] = [reference]

    assert tenant.apply(job) == []
    assert tenant.count_reviews() == before


def test_restart_of_a_rollout_prints_the_denial_again(tenant: Tenant) -> None:
    tenant.apply(build_workload())

    restarted = tenant.run("rollout", "restart", "deployment/web")

    assert restarted.errors.startswith(f"Warning: Deployment {DENIED}")


def test_namespace_without_the_label_gets_no_warning(tenant: Tenant, namespaces: Namespaces) -> None:
    tenant.namespace = namespaces.make(labels={}, annotations=ALLOWED)

    assert tenant.apply(build_workload()) == []


def test_ca_bundle_of_both_configurations_survives_a_rotation_and_an_apply(
    api: ApiServer, tenant: Tenant, kubectl: Kubectl, installation: Installation
) -> None:
    def read(kind: str) -> str:
        bundle = parse_webhook_configuration(api.read(kind, NAME))
        assert bundle
        [cas] = bundle.bundles
        return "".join(ca.pem for ca in cas)

    first = read(WEBHOOKS[0])
    assert first
    wait_for("both are the same", lambda: read(WEBHOOKS[1]) == first)
    kubectl.run(f"--namespace={NAMESPACE}", "annotate", "secret", "podrole-injector-certs", "podrole.io/rotate=ca")
    wait_for("both have a new CA", lambda: first != read(WEBHOOKS[0]) == read(WEBHOOKS[1]), 60)
    rotated = read(WEBHOOKS[0])
    for kind in WEBHOOKS:
        document = api.read(kind, NAME)
        [webhook] = document["webhooks"]
        assert base64.b64decode(webhook["clientConfig"]["caBundle"]).decode() == rotated
    tenant.apply(build_workload())
    assert installation.port


DRIFT = 'podrole_webhook_configuration_drift{field="%s"}'


def test_foreign_change_is_drift_until_it_is_undone(api: ApiServer, replicas: list[Replica], tenant: Tenant) -> None:
    def change(selector: Manifest | None) -> None:
        patch = [{"op": "add", "path": "/webhooks/0/objectSelector", "value": selector}]
        api.patch((WEBHOOKS[0], NAME), patch, how="application/json-patch+json")

    def read() -> list[str]:
        return sorted(
            {
                name
                for one in replicas
                for name, value in one.read_series().items()
                if "drift" in name and value == "1.0"
            }
        )

    tenant.apply(build_workload(), options=("--dry-run=server",))
    before = read()
    change({"matchLabels": {"team": "shop"}})
    try:
        wait_for("the metric has it", lambda: read() == [DRIFT % "objectSelector"])
    finally:
        change({})

    assert before == []
    wait_for("it is undone", lambda: read() == [])


def test_failure_policy_that_could_refuse_workloads_is_drift_until_it_is_undone(
    api: ApiServer, replicas: list[Replica], tenant: Tenant
) -> None:
    def change(policy: str) -> None:
        patch = [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": policy}]
        api.patch((WEBHOOKS[1], NAME), patch, how="application/json-patch+json")

    def read() -> set[str]:
        return {one.read_series()[DRIFT % "warnings"] for one in replicas}

    tenant.apply(build_workload(), options=("--dry-run=server",))
    before = read()
    change("Fail")
    try:
        wait_for("the metric has it", lambda: read() == {"1.0"})
    finally:
        change("Ignore")

    assert before == {"0.0"}
    wait_for("it is undone", lambda: read() == {"0.0"})


@pytest.mark.parametrize("kind", FLOODS)
def test_other_pods_are_created_in_time_while_a_user_applies_workloads_without_end(
    installation: Installation, replicas: list[Replica], good: User, hostile: User, kind: str
) -> None:
    account = f"none-{uuid.uuid4().hex[:8]}"  # each review reads it live
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER], "serviceAccountName": account}}
    if kind != "plain":
        pod = {**LONG_ANNOTATIONS, **WIDE_PODS}[kind]()
        template = {**pod, "metadata": {**pod.get("metadata", {}), "labels": LABELS}}
    workload = build_workload()
    workload["spec"]["template"] = template
    before = sum(float(one.read_series()[NOT_DECIDED]) for one in replicas)

    with holding(good, replicas, installation):
        refusals = attack([lambda: hostile.api.create(workload, hostile.namespace, dry_run=True)] * FLOODS[kind])

    assert [one for one in refusals if "podrole" in one] == []
    if kind == "plain":
        assert sum(float(one.read_series()[NOT_DECIDED]) for one in replicas) > before


def test_workload_can_be_applied_while_no_replica_runs(tenant: Tenant, replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.stop()
    try:
        warnings = tenant.apply(build_workload(), build_workload("CronJob"))
    finally:
        for replica in replicas:
            replica.start()
            replica.await_ready(60)

    assert [one for one in warnings if "podrole" not in one] == []
    tenant.run("get", "deployment,cronjob", "web")
