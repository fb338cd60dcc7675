"""`podrole preflight` on a real API server that calls a real injector."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from podrole.__main__ import main
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer, RefusedError, wait_for
from testing.cluster.namespaces import ENABLED, Namespaces
from testing.cluster.rbac_users import create_user, delete_user
from tests.integration.api_server.webhooks import Injector

SYSTEM, MAP = "podrole-system", "podrole-settings-7c4f"
PODS_ALONE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


pytestmark = pytest.mark.usefixtures("injector")


def run(kubeconfig: str | Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["preflight", *arguments, "--kubeconfig", str(kubeconfig)], env=ENVIRON)


def find(result: Result, code: str) -> list[dict[str, Any]]:
    return [finding for finding in json.loads(result.stdout)["findings"] if finding["code"] == code]


@pytest.fixture
def user_kubeconfig(api: ApiServer, namespace: str, tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of a user who can read pods, and nothing that preflight reads."""
    try:
        yield create_user(api, namespace, [PODS_ALONE], tmp_path)
    finally:
        delete_user(api, namespace)


def test_requested_namespace_that_does_not_exist_is_a_problem(api: ApiServer) -> None:
    result = run(api.kubeconfig, "--namespace", "podrole-nope", "--output", "json")

    assert result.exit_code == 1
    assert [finding["text"] for finding in find(result, "NamespaceNotFound")] == [
        "Namespace podrole-nope does not exist."
    ]


def test_pod_of_a_dry_run_is_injected_and_not_stored(api: ApiServer, namespace: str) -> None:
    result = run(api.kubeconfig, "-n", namespace, "--output", "json")

    assert [finding["text"] for finding in find(result, "DryRunInjected")] == [
        f"The webhook injected a pod in a dry run: namespaces {namespace}."
    ]
    assert api.list("Pod", namespace) == []


def test_dry_run_can_be_skipped(api: ApiServer, namespace: str) -> None:
    result = run(api.kubeconfig, "-n", namespace, "--no-dry-run", "--output", "json")

    assert find(result, "DryRunSkipped")


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_pod_of_a_dry_run_conforms_to_pod_security(api: ApiServer, namespaces: Namespaces, level: str) -> None:
    namespace = namespaces.make(labels=ENABLED | {"pod-security.kubernetes.io/enforce": level})

    result = run(api.kubeconfig, "-n", namespace, "--output", "json")

    assert find(result, "DryRunInjected")
    assert find(result, "EnvModeByPodSecurity")


def test_denial_of_the_test_role_by_the_allowed_roles_is_no_problem(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make(annotations={"iam.amazonaws.com/allowed-roles": '["reader"]'})

    result = run(api.kubeconfig, "-n", namespace, "--output", "json")

    assert find(result, "DryRunRoleNotAllowed")


def create_quota(api: ApiServer, namespace: str, **hard: str) -> None:
    spec = {"hard": {key.replace("_", "."): value for key, value in hard.items()}}
    api.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": spec}, namespace)
    wait_for("the quota's status", lambda: api.read("ResourceQuota", "q", namespace).get("status", {}).get("hard"))


def create_limit_range(api: ApiServer, namespace: str, item: dict[str, Any]) -> None:
    spec = {"limits": [{"type": "Container", **item}]}
    api.create({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "lr"}, "spec": spec}, namespace)


@pytest.mark.parametrize(
    ("hard", "message"),
    [
        pytest.param(
            {"limits_cpu": "4"},
            "failed quota: q: must specify limits.cpu for: podrole-redirect,podrole-sidecar",
            id="limit-required",
        ),
        pytest.param({"requests_cpu": "110m"}, "exceeded quota: q, requested: requests.cpu=", id="quota-exceeded"),
        pytest.param({"pods": "0"}, "exceeded quota: q, requested: pods=1", id="no-pods-allowed"),
    ],
)
def test_rejection_by_a_quota_is_reported_with_the_message_of_the_api_server(
    api: ApiServer, namespace: str, hard: dict[str, str], message: str
) -> None:
    create_quota(api, namespace, **hard)

    result = run(api.kubeconfig, "-n", namespace, "--output", "json")

    assert result.exit_code == 1
    (finding,) = find(result, "ResourceQuota")
    assert finding["level"] == "problem"
    assert message in finding["text"]


def test_default_of_a_limit_range_satisfies_a_quota(api: ApiServer, namespace: str) -> None:
    create_limit_range(api, namespace, {"default": {"cpu": "1"}})
    create_quota(api, namespace, limits_cpu="4")

    # The API server's admission plugin learns of a LimitRange by its own watch.
    def check_dry_run() -> Result | None:
        result = run(api.kubeconfig, "-n", namespace, "--output", "json")
        return result if find(result, "DryRunInjected") else None

    result = wait_for("the LimitRange in force", check_dry_run)

    assert not find(result, "ResourceQuota")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        pytest.param(
            {"max": {"memory": "64Mi"}}, "maximum memory usage per Container is 64Mi, but limit is ", id="max-memory"
        ),
        pytest.param(
            {"min": {"cpu": "50m"}}, "minimum cpu usage per Container is 50m, but request is 20m", id="min-cpu"
        ),
        pytest.param(
            {"maxLimitRequestRatio": {"memory": "1"}},
            "memory max limit to request ratio per Container is 1, but provided ratio is 2",
            id="ratio",
        ),
        pytest.param(
            {"default": {"cpu": "10m"}}, "must be less than or equal to cpu limit", id="default-below-the-request"
        ),
    ],
)
def test_rejection_by_a_limit_range_is_reported_with_the_message_of_the_api_server(
    api: ApiServer, namespace: str, item: dict[str, Any], message: str
) -> None:
    create_limit_range(api, namespace, item)

    # The API server's admission plugin learns of a LimitRange by its own watch.
    def check_dry_run() -> Result | None:
        result = run(api.kubeconfig, "-n", namespace, "--output", "json")
        return result if find(result, "LimitRange") else None

    result = wait_for("the LimitRange in force", check_dry_run)

    assert result.exit_code == 1
    (finding,) = find(result, "LimitRange")
    assert finding["level"] == "problem"
    assert message in finding["text"]


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({"max": {"memory": "1Gi", "cpu": "1"}}, id="large-maximum"),
        pytest.param({"min": {"cpu": "10m"}, "max": {"cpu": "200m"}}, id="small-minimum"),
    ],
)
def test_limit_range_that_allows_podrole_containers_is_no_problem(
    api: ApiServer, namespace: str, item: dict[str, Any]
) -> None:
    create_limit_range(api, namespace, item)

    result = run(api.kubeconfig, "-n", namespace, "--output", "json")

    assert find(result, "DryRunInjected")
    assert not find(result, "LimitRange")


def test_each_requested_namespace_gets_a_dry_run(api: ApiServer, namespaces: Namespaces) -> None:
    first, second = namespaces.make(labels=ENABLED), namespaces.make(labels=ENABLED)
    create_quota(api, second, pods="0")

    result = run(api.kubeconfig, "-n", first, "-n", second, "--output", "json")

    assert [finding["text"] for finding in find(result, "DryRunInjected")] == [
        f"The webhook injected a pod in a dry run: namespaces {first}."
    ]
    (finding,) = find(result, "ResourceQuota")
    assert f"in namespace {second}: " in finding["text"]


def test_stopped_webhook_is_reported_by_the_dry_run(api: ApiServer, namespace: str, injector: Injector) -> None:
    injector.stop()
    try:
        result = run(api.kubeconfig, "-n", namespace, "--output", "json")
    finally:
        injector.start()

    assert result.exit_code == 1
    (finding,) = find(result, "WebhookUnreachable")
    assert "connection refused" in finding["text"]


def test_registered_webhook_of_this_run_is_listed(kubeconfig: str, run_label: dict[str, str]) -> None:
    result = run(kubeconfig, "--no-dry-run", "--output", "json")

    texts = [finding["text"] for finding in find(result, "PodroleWebhook")]
    assert any(f"podrole-injector-{next(iter(run_label.values()))}" in text for text in texts)


def test_unreadable_state_is_unknown_and_never_ok(namespace: str, user_kubeconfig: Path) -> None:
    result = run(user_kubeconfig, "-n", namespace, "--output", "json")

    levels = {finding["code"]: finding["level"] for finding in json.loads(result.stdout)["findings"]}
    # Every user may read the version, and every ServiceAccount the issuer: that of this cluster is a private one.
    assert levels.pop("ApiServerSupported") == "ok"
    assert levels.pop("IssuerUnreachable") == "problem"
    assert {*levels.values()} == {"unknown"}
    assert result.exit_code == 1
    assert 'cannot list resource \\"nodes\\"' in result.output
    (finding,) = find(result, "DryRunForbidden")
    assert 'cannot create resource "pods"' in finding["text"]


def test_private_issuer_of_the_cluster_is_a_problem_for_aws_and_a_note_for_an_own_sts(api: ApiServer) -> None:
    own = {**ENVIRON, "PODROLE_STS_ENDPOINT": "https://sts.example.com"}
    arguments = ["preflight", "--no-dry-run", "--output", "json", "--kubeconfig", api.kubeconfig]

    results = [CliRunner().invoke(main, arguments, env=environ) for environ in (ENVIRON, own)]

    assert [len(find(results[0], "IssuerUnreachable")), len(find(results[1], "IssuerForOwnSts"))] == [1, 1]


def test_text_ends_with_the_number_of_problems(api: ApiServer, namespace: str) -> None:
    result = run(api.kubeconfig, "-n", namespace)

    assert result.stdout.startswith("Kubernetes\n  ok       The API server is 1.")
    assert "problem" in result.stdout.splitlines()[-1]


@pytest.fixture
def installed_settings(api: ApiServer) -> Iterator[str]:
    """An installation without replicas, whose settings are in a ConfigMap; yields the ConfigMap's name."""
    with suppress(RefusedError):  # it stays after the test: its deletion takes long
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    settings = {"PODROLE_SIDECAR_IMAGE": "example/own:9", "PODROLE_REGION": "eu-west-2", "PODROLE_ACOUNT_ID": "1"}
    proxy = {"PODROLE_STS_PROXY": "http://me:w0rd@proxy.example.com:3128", "PODROLE_MODE": "auto"}
    api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": MAP}, "data": settings | proxy}, SYSTEM)
    container = {"name": "injector", "image": "x:1", "envFrom": [{"configMapRef": {"name": MAP}}]}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    metadata = {"name": "podrole-injector"}
    api.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}, SYSTEM)
    try:
        yield MAP
    finally:
        api.delete("Deployment", "podrole-injector", SYSTEM)
        api.delete("ConfigMap", MAP, SYSTEM)


@pytest.mark.usefixtures("installed_settings")
def test_settings_in_force_have_their_source_and_no_password(api: ApiServer) -> None:
    arguments = ["preflight", "--no-dry-run", "--kubeconfig", str(api.kubeconfig)]
    own = {"PODROLE_MODE": "env"}

    document = CliRunner().invoke(main, [*arguments, "--output", "json"], env=own)
    text = CliRunner().invoke(main, arguments, env=own).stdout

    assert json.loads(document.stdout)["settings"] == [
        {"variable": variable, "value": value, "source": source, "instead_of": instead_of}
        for variable, value, source, instead_of in (
            ("PODROLE_SIDECAR_IMAGE", "example/own:9", f"ConfigMap {MAP}", None),
            ("PODROLE_REGION", "eu-west-2", f"ConfigMap {MAP}", None),
            ("PODROLE_MODE", "env", "your environment", "auto"),
            ("PODROLE_STS_PROXY", "http://***@proxy.example.com:3128", f"ConfigMap {MAP}", None),
        )
    ]
    assert f"PODROLE_REGION is eu-west-2 (ConfigMap {MAP})." in text
    assert "w0rd" not in document.stdout + text


@pytest.mark.usefixtures("installed_settings")
def test_unknown_setting_of_the_installation_is_a_problem(api: ApiServer) -> None:
    result = run(api.kubeconfig, "--no-dry-run", "--output", "json")

    assert result.exit_code == 1
    [finding] = find(result, "UnknownSetting")
    assert finding["text"].startswith(
        f"PODROLE_ACOUNT_ID is not a setting; did you mean PODROLE_ACCOUNT_ID? (ConfigMap {MAP})."
    )
