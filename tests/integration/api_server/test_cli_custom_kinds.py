"""Custom kinds in a real API server: `trust-policy --all` reads their templates, `check` finds their pods."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from podrole.__main__ import main
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer, RefusedError, wait_for
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import APP, build_pod, store

BASE = "arn:aws:iam::111122223333:role/"
LABELS = {"app": "web"}
ANY = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "scope": "Namespaced",
        "names": {"plural": "rollouts", "singular": "rollout", "kind": "Rollout"},
        "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": ANY}}],
    },
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments], env=ENVIRON)


def build_rollout(spec: Any) -> dict[str, Any]:
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"}, "spec": spec}


@pytest.fixture(scope="module", autouse=True)
def rollouts(api: ApiServer) -> Iterator[None]:
    """Let the API server know Argo's Rollout."""
    api.create(DEFINITION)

    def is_served() -> bool:
        try:
            api.list("Rollout", "default")
        except (RefusedError, ValueError):  # a path that is not served yet is answered with text
            return False
        return True

    wait_for("the kind Rollout", is_served)
    yield
    api.delete("CustomResourceDefinition", "rollouts.argoproj.io")


def test_role_of_a_rollout_is_printed_with_its_account(api: ApiServer, namespaces: Namespaces) -> None:
    role = f"podrole-{uuid.uuid4().hex[:8]}"
    namespace = namespaces.make()
    spec = {"containers": [APP], "serviceAccountName": "web"}
    template = {"metadata": {"annotations": {"iam.amazonaws.com/role": role}}, "spec": spec}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}}
    api.create(account, namespace)
    api.create(build_rollout({"replicas": 0, "template": template}), namespace)

    result = run("trust-policy", "--all", "-o", "json", "--kubeconfig", api.kubeconfig)

    [entry] = [one for one in json.loads(result.stdout)["roles"] if one["role"] == BASE + role]
    assert entry["subjects"] == [f"system:serviceaccount:{namespace}:web"]


def test_rollout_of_another_form_is_a_warning(api: ApiServer, namespace: str) -> None:
    api.create(build_rollout({"template": []}), namespace)

    result = run("trust-policy", "--all", "-o", "json", "--kubeconfig", api.kubeconfig)

    codes = [one["code"] for one in json.loads(result.stdout)["findings"]]
    assert result.exit_code in {0, 1}
    assert "KindUnreadable" in codes
    assert "Rollout web has no spec.template: it must be an object" in result.stderr


def test_every_pod_of_a_rollout_is_checked(api: ApiServer, namespace: str) -> None:
    api.create(build_rollout({"selector": {"matchLabels": LABELS}}), namespace)
    for name in ("web-1", "web-2"):
        pod = build_pod(name=name)
        pod["metadata"]["labels"] = LABELS
        store(api, pod, namespace)
    store(api, build_pod(name="other"), namespace)

    result = run("check", "-n", namespace, "rollout/web", "-o", "json", "--kubeconfig", api.kubeconfig)

    assert [one["pod"] for one in json.loads(result.stdout)["pods"]] == [f"{namespace}/web-1", f"{namespace}/web-2"]


def test_kind_that_the_cluster_does_not_have_is_a_usage_error(api: ApiServer, namespace: str) -> None:
    result = run("check", "-n", namespace, "cloneset/web", "--kubeconfig", api.kubeconfig)

    assert result.exit_code == 2
    assert f"Error: cloneset web does not exist in namespace {namespace}\n" in result.stderr
