"""Shared by the injector's tests: the pods of tests/pods, a complete injection, and the API server's defaults."""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import yaml

from injector.config import Config
from injector.decision.context import ClusterContext
from injector.decision.decide import decide
from injector.decision.outcomes import Block, Decision, Inject
from injector.k8s.manifest_files import ManifestCluster
from injector.k8s.objects import Metadata, read_service_account_name
from injector.k8s.version import Version
from injector.patch.json_patch import build_patch
from injector.patch.plan import plan_injection
from injector.patch.template import load_template
from testing.repository import ROOT

PODS = ROOT / "tests/pods"
REVIEWS = ROOT / "testing/reviews"

ENVIRON = {
    "PODROLE_SIDECAR_IMAGE": "example/podrole-sidecar:1",
    "PODROLE_REGION": "eu-west-1",
    "PODROLE_ACCOUNT_ID": "111122223333",
}
CONFIG = Config.from_environ(ENVIRON)

ENABLED = Metadata({"podrole.io/injection": "enabled"}, {})
UNANNOTATED = Metadata({}, {})
"""A ServiceAccount that sets nothing."""

Pod = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A pod, its namespace and its ServiceAccount."""

    pod: Pod
    namespace: Metadata | None
    service_account: Metadata | None
    version: Version | None = None

    def decide(self, config: Config = CONFIG) -> Decision:
        return decide(self.pod, ClusterContext(self.namespace, self.service_account, self.version), config)

    def inject(self, config: Config = CONFIG) -> Pod:
        """Apply the webhook's patch to the pod; fails if the decision has no patch."""
        patch, _ = self.build_patch(config)
        patched: Pod = patch.apply(self.pod)
        return patched

    def build_patch(self, config: Config = CONFIG) -> tuple[Any, list[str]]:
        """The patch and the warnings."""
        decision = self.decide(config)
        assert isinstance(decision, Inject | Block), decision
        plan = plan_injection(decision, self.pod, load_template(config), config)
        return build_patch(self.pod, plan), [warning.text for warning in plan.warnings]

    def with_pod(self, pod: Pod) -> "Case":
        return replace(self, pod=pod)


def load_case(name: str) -> Case:
    """Read tests/pods/<name>.yaml: the pod, its namespace and its ServiceAccount."""
    path = PODS / f"{name}.yaml"
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    pod = next(document for document in documents if document["kind"] == "Pod")
    cluster = ManifestCluster(path)
    namespace = pod["metadata"]["namespace"]
    account = cluster.service_account(namespace, read_service_account_name(pod))
    return Case(pod, cluster.namespace(namespace), account)


def load_injectable_cases() -> dict[str, Case]:
    """Every pod of tests/pods that is injected or blocked."""
    cases = {path.stem: load_case(path.stem) for path in sorted(PODS.glob("*.yaml"))}
    return {name: case for name, case in cases.items() if isinstance(case.decide(), Inject | Block)}


def load_review(name: str) -> Pod:
    """A recorded review: the body of an API server's request."""
    return copy.deepcopy(_read_review(name))


@cache
def _read_review(name: str) -> Pod:
    review: Pod = yaml.safe_load((REVIEWS / f"{name}.yaml").read_text(encoding="utf-8"))
    return review


def build_review(namespace: str, account: str = "default") -> bytes:
    """The body of an API server's request about a pod of a Deployment, in this namespace, with this ServiceAccount."""
    review = load_review("pod-create-generate-name")
    review["request"]["namespace"] = namespace
    review["request"]["object"]["spec"]["serviceAccountName"] = account
    return json.dumps(review).encode()


def build_case(**spec: Any) -> Case:
    """A pod with a role and these fields in its spec."""
    metadata = {"name": "app", "namespace": "team-a", "annotations": {"iam.amazonaws.com/role": "reader"}}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "example/app:1"}], **spec}}
    return Case(pod, ENABLED, UNANNOTATED)


def find_container(pod: Pod, name: str) -> Pod:
    """The container of that name, in any list of the pod."""
    return next(c for c in all_containers(pod) if c["name"] == name)


def all_containers(pod: Pod) -> Iterator[Pod]:
    for field in ("initContainers", "containers"):
        yield from pod["spec"].get(field) or []


def environment_of(container: Mapping[str, Any]) -> dict[str, Any]:
    """A container's variables by name: the value, or the valueFrom."""
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in container.get("env") or []}


def add_api_defaults(pod: Pod) -> Pod:
    """What API server 1.34 and LimitRanger add to a pod, as in the recorded reviews."""
    pod = copy.deepcopy(pod)
    for container in all_containers(pod):
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("imagePullPolicy", "IfNotPresent")
        resources = container["resources"] = container.get("resources") or {}
        resources["limits"] = {"cpu": "1", **(resources.get("limits") or {})}
        container["resizePolicy"] = [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]
        for variable in container.get("env") or []:
            field = (variable.get("valueFrom") or {}).get("fieldRef")
            if field:
                field["apiVersion"] = "v1"
    for volume in pod["spec"].get("volumes") or []:
        if "projected" in volume:
            volume["projected"]["defaultMode"] = 420
    return pod
