"""`podrole preflight` on a real API server that asks a real injector."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from podrole.__main__ import main
from tests.integration.api_server.api import ApiServer, wait_for
from tests.integration.api_server.namespaces import ENABLED, Namespaces
from tests.integration.api_server.rbac_users import create_user, delete_user
from tests.integration.api_server.webhooks import Injector
from tests.unit.injector.cases import ENVIRON

PODS_ALONE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


pytestmark = pytest.mark.usefixtures("injector")


def run(kubeconfig: str | Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["preflight", *arguments, "--kubeconfig", str(kubeconfig)], env=ENVIRON)


def find(result: Result, code: str) -> list[dict[str, Any]]:
    return [finding for finding in json.loads(result.stdout)["findings"] if finding["code"] == code]


@pytest.fixture
def person(api: ApiServer, namespace: str, tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of somebody who may read pods, and nothing that preflight asks for."""
    try:
        yield create_user(api, namespace, [PODS_ALONE], tmp_path)
    finally:
        delete_user(api, namespace)


def test_namespace_that_does_not_exist_is_a_problem(api: ApiServer) -> None:
    result = run(api.kubeconfig, "--namespace", "podrole-nope", "--output", "json")

    assert result.exit_code == 1
    assert [finding["text"] for finding in find(result, "Missing")] == ["There is no namespace podrole-nope."]


def test_pod_of_a_dry_run_comes_back_injected_and_leaves_nothing(api: ApiServer, namespace: str) -> None:
    result = run(api.kubeconfig, "-n", namespace, "--output", "json")

    assert [finding["text"] for finding in find(result, "Injected")] == [
        f"A dry run of a pod in namespace {namespace} came back injected: the webhook answers."
    ]
    assert api.list("Pod", namespace) == []


def test_dry_run_can_be_left_out(api: ApiServer, namespace: str) -> None:
    result = run(api.kubeconfig, "-n", namespace, "--no-dry-run", "--output", "json")

    assert find(result, "NotWanted")


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_dry_run_passes_pod_security(api: ApiServer, namespaces: Namespaces, level: str) -> None:
    namespace = namespaces.make(labels=ENABLED | {"pod-security.kubernetes.io/enforce": level})

    result = run(api.kubeconfig, "-n", namespace, "--output", "json")

    assert find(result, "Injected")
    assert find(result, "EnvByPodSecurity")


def test_allow_list_that_refuses_the_made_up_role_proves_the_webhook_too(
    api: ApiServer, namespaces: Namespaces
) -> None:
    namespace = namespaces.make(annotations={"iam.amazonaws.com/allowed-roles": '["reader"]'})

    result = run(api.kubeconfig, "-n", namespace, "--output", "json")

    assert find(result, "RoleNotAllowed")


def test_quota_that_is_foretold_is_the_one_that_refuses_the_dry_run(api: ApiServer, namespace: str) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q"},
        "spec": {"hard": {"limits.cpu": "4"}},
    }
    api.create(quota, namespace)
    wait_for("the quota's status", lambda: api.read("ResourceQuota", "q", namespace).get("status", {}).get("hard"))

    result = run(api.kubeconfig, "-n", namespace, "--output", "json")

    assert result.exit_code == 1
    assert find(result, "Quota")
    (refused,) = find(result, "Refused")
    assert "must specify limits.cpu for: podrole-redirect,podrole-sidecar" in refused["text"]


@pytest.mark.parametrize(
    ("item", "foretold"),
    [
        ({"max": {"memory": "64Mi"}}, "podrole-sidecar"),
        ({"min": {"cpu": "50m"}}, "podrole-redirect"),
        ({"maxLimitRequestRatio": {"memory": "1"}}, "podrole-sidecar"),
        ({"max": {"memory": "1Gi", "cpu": "1"}}, None),
        ({"min": {"cpu": "10m"}, "max": {"cpu": "200m"}}, None),
    ],
)
def test_limit_range_is_foretold_as_the_api_server_rules(
    api: ApiServer, namespace: str, item: dict[str, Any], foretold: str | None
) -> None:
    limits = {"type": "Container", **item}
    api.create(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "lr"}, "spec": {"limits": [limits]}}, namespace
    )

    # The API server's admission learns of a LimitRange by a watch of its own.
    def look() -> Result | None:
        result = run(api.kubeconfig, "-n", namespace, "--output", "json")
        return result if bool(find(result, "Refused")) == bool(foretold) else None

    result = wait_for("the LimitRange in force", look)
    assert bool(find(result, "LimitRange")) == bool(foretold)
    assert foretold is None or any(foretold in finding["text"] for finding in find(result, "LimitRange"))


def test_webhook_that_is_down_is_found_by_the_dry_run(api: ApiServer, namespace: str, injector: Injector) -> None:
    injector.stop()
    try:
        result = run(api.kubeconfig, "-n", namespace, "--output", "json")
    finally:
        injector.start()

    assert result.exit_code == 1
    (told,) = find(result, "Unreachable")
    assert "connection refused" in told["text"]


def test_registered_webhook_of_this_run_has_its_place_in_the_order(kubeconfig: str, run_label: dict[str, str]) -> None:
    result = run(kubeconfig, "--no-dry-run", "--output", "json")

    texts = [finding["text"] for finding in find(result, "Ours")]
    assert any(f"podrole-injector-{next(iter(run_label.values()))}" in text for text in texts)


def test_what_a_person_may_not_read_is_said_and_nothing_of_it_is_ok(namespace: str, person: Path) -> None:
    result = run(person, "-n", namespace, "--output", "json")

    levels = {finding["level"] for finding in json.loads(result.stdout)["findings"]}
    assert result.exit_code == 3
    assert levels <= {"unknown", "ok"}
    assert [finding["code"] for finding in json.loads(result.stdout)["findings"] if finding["level"] == "ok"] == [
        "Server"
    ]
    assert 'cannot list resource \\"nodes\\"' in result.output
    (told,) = find(result, "NotAllowed")
    assert 'cannot create resource "pods"' in told["text"]


def test_text_ends_with_a_count(api: ApiServer, namespace: str) -> None:
    result = run(api.kubeconfig, "-n", namespace)

    assert result.stdout.startswith("Kubernetes\n  ok       The API server is 1.")
    assert "problem" in result.stdout.splitlines()[-1]
