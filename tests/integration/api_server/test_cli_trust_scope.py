"""`podrole trust-policy` with a real API server: some namespaces, named ServiceAccounts, the installed settings."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from podrole.__main__ import main
from podrole.diagnosis.state import installed_config
from testing.cluster.api import ApiServer
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import APP, build_pod
from testing.cluster.rbac_users import create_user, delete_user
from tests.unit.podrole.workloads import build_workload

BASE = "arn:aws:iam::111122223333:role/"
ALLOWED = "iam.amazonaws.com/allowed-roles"
ROLE_KEY = "iam.amazonaws.com/role"
ACCOUNT = ("--account-id", "111122223333")


def run(kubeconfig: str, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["trust-policy", *arguments, "--kubeconfig", kubeconfig], input=stdin)


@pytest.fixture
def role() -> str:
    """A unique name."""
    return f"podrole-{uuid.uuid4().hex[:8]}"


def create_account(api: ApiServer, namespace: str, name: str = "web", **annotations: str) -> str:
    keys = {ROLE_KEY if key == "role" else f"eks.amazonaws.com/{key}": value for key, value in annotations.items()}
    api.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "annotations": keys}}, namespace
    )
    return f"system:serviceaccount:{namespace}:{name}"


def create_thief(api: ApiServer, namespaces: Namespaces, role: str) -> str:
    """A namespace that allows other roles only, with a suspended CronJob that names this one."""
    namespace = namespaces.make(annotations={ALLOWED: '["evil-*"]'})
    create_account(api, namespace, "thief")
    pod = build_pod({ROLE_KEY: role}, serviceAccountName="thief", restartPolicy="Never")
    pod["metadata"] |= {"namespace": namespace, "labels": {"app": "thief"}}
    job = build_workload("CronJob", pod)
    job["spec"] |= {"suspend": True}
    api.create(job, namespace)
    return namespace


@pytest.fixture
def viewer(api: ApiServer, namespaces: Namespaces, tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """Two namespaces, and the kubeconfig of a user who may view only the objects of these."""
    first, second = namespaces.make(), namespaces.make()
    path = create_user(api, first, [], tmp_path)
    subject = {"kind": "ServiceAccount", "name": "user", "namespace": first}
    group = "rbac.authorization.k8s.io"
    for namespace in (first, second):
        binding = {"metadata": {"name": "view"}, "subjects": [subject]}
        reference = {"kind": "ClusterRole", "name": "view", "apiGroup": group}
        api.create({"apiVersion": f"{group}/v1", "kind": "RoleBinding", **binding, "roleRef": reference}, namespace)
    yield first, second, str(path)
    delete_user(api, first)


@pytest.fixture
def installed(api: ApiServer, namespaces: Namespaces, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Deployment of an injector of another account, whose tokens have another audience."""
    namespace = namespaces.make(labels={})
    monkeypatch.setattr(installed_config, "find_deployment", lambda _: installed_config.DeploymentRef(namespace))
    variables = {
        "PODROLE_SIDECAR_IMAGE": "example/own:9",
        "PODROLE_REGION": "eu-west-1",
        "PODROLE_ACCOUNT_ID": "444455556666",
        "PODROLE_AUDIENCE": "kops",
    }
    container = {**APP, "env": [{"name": name, "value": value} for name, value in variables.items()]}
    template = {"metadata": {"labels": {"app": "injector"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "injector"}}, "template": template}
    metadata = {"name": "podrole-injector"}
    api.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}, namespace)


def read_entry(result: Result, role: str) -> Any:
    [entry] = [one for one in json.loads(result.stdout)["roles"] if one["role"].endswith(f"/{role}")]
    return entry


def test_user_with_permissions_in_two_namespaces_gets_their_roles(
    api: ApiServer, viewer: tuple[str, str, str], role: str
) -> None:
    first, second, kubeconfig = viewer
    subjects = [create_account(api, namespace, role=role) for namespace in (first, second)]

    both = run(kubeconfig, "--all", "-n", first, "-n", second, *ACCOUNT, "-o", "json")
    one = run(kubeconfig, "--all", "-n", second, *ACCOUNT, "-o", "json")
    every = run(kubeconfig, "--all", *ACCOUNT, "-o", "json")

    assert (both.exit_code, read_entry(both, role)["subjects"]) == (0, sorted(subjects)), both.stderr
    assert (one.exit_code, read_entry(one, role)["subjects"]) == (0, subjects[1:])
    assert (every.exit_code, every.stdout) == (3, "")
    assert "forbidden" in every.stderr
    assert "warning: Not all settings of the webhook are known" in both.stderr


def test_user_with_permissions_in_one_namespace_can_name_its_accounts(
    api: ApiServer, viewer: tuple[str, str, str], role: str
) -> None:
    namespace, _, kubeconfig = viewer
    create_account(api, namespace)

    allowed = run(kubeconfig, f"{BASE}{role}", "-n", namespace, "-s", "web")
    forbidden = run(kubeconfig, f"{BASE}{role}", "-n", "kube-system", "-s", "web")

    assert (allowed.exit_code, "was not checked" in allowed.stderr) == (0, False), allowed.stderr
    assert forbidden.exit_code == 0
    assert (
        "warning: It was not checked whether the webhook admits system:serviceaccount:kube-system:web"
        in forbidden.stderr
    )


def test_namespace_that_does_not_exist_is_an_error(api: ApiServer) -> None:
    result = run(api.kubeconfig, "--all", "-n", "no-such-namespace", *ACCOUNT)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "the cluster has no namespace no-such-namespace" in result.stderr


@pytest.mark.parametrize("form", ["all", "role", "merge", "named", "named-merge"])
def test_suspended_cron_job_that_the_webhook_would_deny_is_in_no_policy(
    api: ApiServer, namespaces: Namespaces, role: str, form: str
) -> None:
    owner = namespaces.make(annotations={ALLOWED: json.dumps([role])})
    create_account(api, owner, role=role)
    thief = create_thief(api, namespaces, role)
    arguments = {
        "all": ("--all", "-n", owner, "-n", thief, "-o", "json"),
        "role": (role,),
        "merge": (role, "--merge", "-"),
        "named": (role, "-n", thief, "-s", "thief"),
        "named-merge": (role, "-n", thief, "-s", "thief", "--merge", "-"),
    }[form]

    result = run(api.kubeconfig, *arguments, *ACCOUNT, stdin='{"Statement": []}')

    document = json.loads(result.stdout or "{}")
    policies = [one["policy"] for one in document["roles"]] if "roles" in document else [document]
    assert result.exit_code == 1, result.stderr
    assert thief not in json.dumps(policies)
    assert f"problem: system:serviceaccount:{thief}:thief is left out, because the webhook denies" in result.stderr
    assert f"[RoleNotAllowed] The namespace does not allow the role {BASE}{role}" in result.stderr


def test_account_that_only_a_workload_names_and_that_does_not_exist_is_left_out(
    api: ApiServer, namespaces: Namespaces, role: str
) -> None:
    namespace = create_thief(api, namespaces, "evil-x")
    api.delete("ServiceAccount", "thief", namespace)

    result = run(api.kubeconfig, "--all", "-n", namespace, *ACCOUNT, "-o", "json")

    assert (result.exit_code, json.loads(result.stdout)["roles"]) == (1, [])
    assert "[ServiceAccountNotFound]" in result.stderr
    assert role not in result.stdout


def test_named_account_that_does_not_exist_is_a_warning(api: ApiServer, namespaces: Namespaces, role: str) -> None:
    namespace = namespaces.make()

    result = run(api.kubeconfig, role, "-n", namespace, "-s", "misspelt", *ACCOUNT)

    assert result.exit_code == 0
    assert f"warning: system:serviceaccount:{namespace}:misspelt does not exist in the cluster" in result.stderr


@pytest.mark.usefixtures("installed")
def test_account_and_audience_of_the_installed_webhook_are_used_and_options_take_precedence(
    api: ApiServer, namespaces: Namespaces, role: str
) -> None:
    namespace = namespaces.make()
    create_account(api, namespace, role=role)
    named, every = (role, "-n", namespace, "-s", "web"), ("--all", "-n", namespace, "-o", "json")
    own = (*ACCOUNT, "--audience", "own")

    results = [run(api.kubeconfig, *form) for form in (named, (*named, *own), (role,))]
    entries = [read_entry(run(api.kubeconfig, *form), role) for form in (every, (*every, *own))]

    statements = [json.loads(result.stdout)["Statement"][0] for result in results]
    statements += [entry["policy"]["Statement"][0] for entry in entries]
    found = [
        (
            one["Principal"]["Federated"].split(":")[4],
            next(v for k, v in one["Condition"]["StringEquals"].items() if k.endswith(":aud")),
        )
        for one in statements
    ]
    installed, given = ("444455556666", "kops"), ("111122223333", "own")
    assert found == [installed, given, installed, installed, given]


@pytest.mark.usefixtures("installed")
def test_manifests_are_decided_with_the_installed_settings_unless_the_issuer_is_given(
    api: ApiServer, role: str, tmp_path: Path
) -> None:
    metadata = {"name": "web", "namespace": "team-a", "annotations": {ROLE_KEY: role}}
    (tmp_path / "all.yaml").write_text(json.dumps({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
    files = ("--all", "-f", str(tmp_path / "all.yaml"), "-o", "json")

    with_cluster = run(api.kubeconfig, *files)
    also = run(api.kubeconfig, *files, "--issuer", "https://oidc.example.com", "--cluster")
    without = run(api.kubeconfig, *files, "--issuer", "https://oidc.example.com")

    for result in (with_cluster, also):
        assert read_entry(result, role)["role"] == f"arn:aws:iam::444455556666:role/{role}", result.stderr
    assert json.loads(without.stdout)["roles"] == []
    assert "a name without an account" in without.stderr


@pytest.mark.usefixtures("installed")
def test_check_needs_no_account(api: ApiServer, namespaces: Namespaces, role: str) -> None:
    namespace = namespaces.make()
    create_account(api, namespace)
    subject = (role, "-n", namespace, "-s", "web")
    printed = run(api.kubeconfig, *subject)

    checked = run(api.kubeconfig, *subject, "--check", "-", "--cluster", stdin=printed.stdout)

    assert checked.exit_code == 0, checked.stdout
    assert f"system:serviceaccount:{namespace}:web can assume the role." in checked.stdout
