"""`podrole trust-policy` against a real API server: its issuer, and the roles that annotations name."""

import json
import uuid
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from podrole.__main__ import main
from podrole.diagnosis.state import installed_config
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import APP, OURS, build_pod
from testing.hostile_text import STORED, find_unprintable
from tests.unit.podrole.workloads import KINDS, build_workload, find_pod

BASE = "arn:aws:iam::111122223333:role/"
ACCOUNT = ("--account-id", "111122223333")


def run(api: ApiServer, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["trust-policy", *arguments, "--kubeconfig", api.kubeconfig], input=stdin)


def read_issuer(api: ApiServer) -> str:
    answer = api.request("GET", f"{api.host}/.well-known/openid-configuration")
    issuer: str = json.loads(answer.data)["issuer"]
    return issuer


def read_entries(api: ApiServer, *roles: str) -> dict[str, Any]:
    """The entries of `--all` for these roles; a shared cluster may have more."""
    result = run(api, "--all", "--include-unlabelled", *ACCOUNT, "-o", "json")
    assert result.exit_code in {0, 1}, result.stderr
    return {entry["role"]: entry for entry in json.loads(result.stdout)["roles"] if entry["role"] in roles}


@pytest.fixture
def roles() -> list[str]:
    """Unique names of roles."""
    return [f"podrole-{uuid.uuid4().hex[:8]}-{number}" for number in range(6)]


def create_account(api: ApiServer, namespace: str, name: str, key: str, role: str) -> None:
    metadata = {"name": name, "annotations": {key: role}}
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, namespace)


def test_every_role_that_annotations_name_is_printed_with_its_users(
    api: ApiServer, namespaces: Namespaces, roles: list[str]
) -> None:
    of_pod, of_account, of_irsa, of_namespace, of_template, of_cron = roles
    # Without the label, as in a cluster with kube2iam: podrole's webhook is not called for these pods.
    first = namespaces.make(labels={}, annotations={"podrole.io/default-role": of_namespace})
    second = namespaces.make(labels={})
    create_account(api, first, "web", "iam.amazonaws.com/role", of_account)
    create_account(api, second, "job", "eks.amazonaws.com/role-arn", BASE + of_irsa)
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "idle"}}, second)
    api.create(build_pod({"iam.amazonaws.com/role": of_pod}), second)
    api.create(build_pod({}, name="plain"), first)
    for kind, role in (("Deployment", of_template), ("CronJob", of_cron)):
        pod = build_pod({"iam.amazonaws.com/role": role}, serviceAccountName="idle")
        pod["metadata"] |= {"namespace": second, "labels": {"app": kind.lower()}}
        workload = build_workload(kind, pod)
        if kind == "Deployment":
            workload["spec"] |= {"replicas": 0, "selector": {"matchLabels": {"app": "deployment"}}}
        else:
            workload["spec"] |= {"suspend": True}
            workload["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "Never"
        api.create(workload, second)

    entries = read_entries(api, *(BASE + role for role in roles))

    assert {role.removeprefix(BASE): entry["subjects"] for role, entry in entries.items()} == {
        of_pod: [f"system:serviceaccount:{second}:default"],
        of_account: [f"system:serviceaccount:{first}:web"],
        of_irsa: [f"system:serviceaccount:{second}:job"],
        of_namespace: [f"system:serviceaccount:{first}:default"],
        of_template: [f"system:serviceaccount:{second}:idle"],
        of_cron: [f"system:serviceaccount:{second}:idle"],
    }
    issuer = read_issuer(api).partition("://")[2]
    for entry in entries.values():
        [statement] = entry["policy"]["Statement"]
        assert statement["Principal"] == {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{issuer}"}


def test_intermediate_role_of_a_namespace_needs_two_policies(
    api: ApiServer, namespaces: Namespaces, roles: list[str]
) -> None:
    intermediate, far = roles[:2]
    namespace = namespaces.make(labels={}, annotations={"podrole.io/intermediate-role": BASE + intermediate})
    api.create(build_pod({"iam.amazonaws.com/role": far}), namespace)

    entries = read_entries(api, BASE + intermediate, BASE + far)

    assert entries[BASE + intermediate]["subjects"] == [f"system:serviceaccount:{namespace}:default"]
    assert entries[BASE + far]["intermediate_roles"] == [BASE + intermediate]
    assert entries[BASE + far]["policy"]["Statement"][0]["Principal"] == {"AWS": BASE + intermediate}


def test_policy_printed_for_a_role_passes_the_check(api: ApiServer, namespaces: Namespaces, roles: list[str]) -> None:
    role = roles[0]
    namespace = namespaces.make(labels={})
    create_account(api, namespace, "web", "iam.amazonaws.com/role", role)

    printed = run(api, role, *ACCOUNT, "--include-unlabelled")
    checked = run(api, role, *ACCOUNT, "--include-unlabelled", "--check", "-", "--cluster", stdin=printed.stdout)

    assert printed.exit_code == 0, printed.stderr
    assert f"system:serviceaccount:{namespace}:web can assume the role." in checked.stdout
    assert checked.exit_code == 0


def test_audience_of_a_named_service_account_is_that_of_the_cluster(
    api: ApiServer, namespaces: Namespaces, roles: list[str]
) -> None:
    role, namespace = roles[0], namespaces.make(labels={})
    create_account(api, namespace, "web", "eks.amazonaws.com/audience", "amazonaws.com")
    subject = (role, *ACCOUNT, "-n", namespace, "-s", "web")

    printed = run(api, *subject)
    checked = run(api, *subject, "--check", "-", "--cluster", stdin=printed.stdout)
    other = run(api, *subject, "--check", "-", "--issuer", "https://a.example", stdin=printed.stdout)

    assert printed.exit_code == 0, printed.stderr
    issuer = read_issuer(api).partition("://")[2]
    condition = json.loads(printed.stdout)["Statement"][0]["Condition"]["StringEquals"]
    assert condition[f"{issuer}:aud"] == "amazonaws.com"
    assert (checked.exit_code, other.exit_code) == (0, 1), checked.stdout
    text = " ".join(other.stdout.split())
    assert "the pods' tokens are for sts.amazonaws.com" in text, "no cluster was asked"


def test_namespace_that_is_being_deleted_misses_no_account(
    api: ApiServer, namespaces: Namespaces, roles: list[str]
) -> None:
    role, namespace = roles[0], namespaces.make(labels={})
    pod = build_pod({"iam.amazonaws.com/role": role}, name="web", serviceAccountName="web")
    create_account(api, namespace, "web", "iam.amazonaws.com/role", role)
    pod["metadata"]["finalizers"] = ["example.com/hold"]
    api.create(pod, namespace)
    api.delete("Namespace", namespace)
    subject = f"system:serviceaccount:{namespace}:web"
    try:
        every = run(api, "--all", "--include-unlabelled", *ACCOUNT)
        named = run(api, role, "-n", namespace, "-s", "web", *ACCOUNT)
    finally:
        api.patch(("Pod", "web"), {"metadata": {"finalizers": None}}, namespace)

    assert f"{subject} is left out: namespace {namespace} is being deleted" in " ".join(every.stderr.split())
    assert f"Namespace {namespace} is being deleted" in " ".join(named.stderr.split())
    assert "does not exist" not in named.stderr


def test_policy_for_another_cluster_does_not_pass_the_check(api: ApiServer, roles: list[str]) -> None:
    subject = ("-n", "team-a", "-s", "web")
    printed = run(api, roles[0], *ACCOUNT, *subject, "--issuer", "https://oidc.example.com")

    checked = run(api, roles[0], *ACCOUNT, *subject, "--check", "-", "--cluster", stdin=printed.stdout)

    assert checked.exit_code == 1
    assert "trusts oidc.example.com, but the cluster's issuer is" in checked.stdout


def test_account_that_names_another_teams_role_is_left_out_with_the_reason(
    api: ApiServer, namespaces: Namespaces, roles: list[str]
) -> None:
    role = roles[0]
    allow_list = "iam.amazonaws.com/allowed-roles"
    owner = namespaces.make(annotations={allow_list: json.dumps([role])})
    other = namespaces.make(annotations={allow_list: '["other-*"]'})
    unlabelled = namespaces.make(labels={})
    for namespace in (owner, other, unlabelled):
        create_account(api, namespace, "web", "iam.amazonaws.com/role", role)
    pod = build_pod({"iam.amazonaws.com/role": role})
    pod["metadata"] |= {"namespace": other, "labels": {"app": "app"}}
    deployment = build_workload("Deployment", pod)
    deployment["spec"] |= {"replicas": 0, "selector": {"matchLabels": {"app": "app"}}}
    api.create(deployment, other)

    entries = run(api, "--all", *ACCOUNT, "-o", "json")
    printed = run(api, role, *ACCOUNT)
    checked = run(api, role, *ACCOUNT, "--check", "-", "--cluster", stdin=printed.stdout)

    [entry] = [one for one in json.loads(entries.stdout)["roles"] if one["role"] == BASE + role]
    assert (entry["subjects"], entry["claimed_by"]) == ([f"system:serviceaccount:{owner}:web"], [])
    assert (entries.exit_code, printed.exit_code, checked.exit_code) == (1, 1, 0)
    assert other not in printed.stdout
    assert unlabelled not in printed.stdout
    assert f"problem: system:serviceaccount:{other}:web is left out" in printed.stderr
    assert f"problem: system:serviceaccount:{other}:default is left out" in printed.stderr
    assert f"[RoleNotAllowed] The namespace does not allow the role {BASE}{role}" in printed.stderr
    assert f"note: system:serviceaccount:{unlabelled}:web is left out" in printed.stderr


def test_account_that_claims_a_role_without_an_allow_list_is_marked(
    api: ApiServer, namespaces: Namespaces, roles: list[str]
) -> None:
    namespace = namespaces.make()
    create_account(api, namespace, "web", "iam.amazonaws.com/role", roles[0])
    subject = f"system:serviceaccount:{namespace}:web"

    printed = run(api, roles[0], *ACCOUNT)
    left_out = run(api, roles[0], *ACCOUNT, "--require-allow-list")

    assert read_entries(api, BASE + roles[0])[BASE + roles[0]]["claimed_by"] == [subject]
    assert printed.exit_code == 0
    assert f"warning: {subject} claims {BASE}{roles[0]}: namespace {namespace} has no allow-list" in printed.stderr
    assert (left_out.exit_code, left_out.stdout) == (2, "")
    assert f"note: {subject} is left out" in left_out.stderr


def test_terminal_escape_sequences_of_annotations_are_printed_as_text(
    api: ApiServer, namespaces: Namespaces, roles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    namespace = namespaces.make(labels={}, annotations={"iam.amazonaws.com/allowed-roles": STORED})
    create_account(api, namespace, "web", "iam.amazonaws.com/role", f"{BASE}{roles[0]}")
    create_account(api, namespace, "bad", "iam.amazonaws.com/role", STORED)
    api.create(build_pod({"iam.amazonaws.com/role": STORED, "podrole.io/status": STORED}), namespace)
    cluster = ["--kubeconfig", api.kubeconfig]
    commands = [
        ["trust-policy", "--all", "--include-unlabelled", *cluster, *ACCOUNT],
        ["trust-policy", roles[0], "--include-unlabelled", *cluster, *ACCOUNT],
        ["check", f"{namespace}/app", *cluster],
        ["preflight", "--namespace", namespace, "--no-dry-run", *cluster],
    ]

    results = [CliRunner().invoke(main, command) for command in commands]

    assert "InvalidAllowList" in results[1].stderr
    assert "InvalidRole" in results[2].stdout
    assert [find_unprintable(result.stdout + result.stderr) for result in results] == ["", "", "", ""]


def test_unknown_context_is_reported(api: ApiServer) -> None:
    result = run(api, "--all", "--context", "nowhere")

    assert result.exit_code == 3
    assert "nowhere" in result.stderr


def test_manifests_are_injected_with_metadata_of_the_cluster(
    api: ApiServer, namespaces: Namespaces, roles: list[str]
) -> None:
    namespace = namespaces.make(labels={"pod-security.kubernetes.io/enforce": "restricted"})
    create_account(api, namespace, "web", "iam.amazonaws.com/role", roles[0])
    pod = build_pod({}, serviceAccountName="web")
    arguments = ["inject", "-f", "-", "-n", namespace, "--cluster", "--kubeconfig", api.kubeconfig, *ACCOUNT]
    others = ["--sidecar-image", "example/podrole-sidecar:1", "--region", "eu-west-1", "-o", "json"]

    result = CliRunner().invoke(main, [*arguments, *others], input=json.dumps(pod))

    [record] = json.loads(result.stdout)
    assert (record["outcome"], record["mode"], record["role"]) == ("Inject", "env", BASE + roles[0])
    assert record["notes"] == [
        f"Namespace {namespace} lacks the label podrole.io/injection: enabled, so the webhook leaves its pods alone."
    ]


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"PodTemplate", "ReplicaSet"}))
def test_api_server_accepts_every_kind_as_printed(api: ApiServer, namespace: str, kind: str) -> None:
    pod = build_pod()
    pod["metadata"] |= {"namespace": namespace, "labels": {"app": "app"}}
    workload = build_workload(kind, pod)
    if kind in {"DaemonSet", "Deployment", "StatefulSet"}:
        workload["spec"] |= {"selector": {"matchLabels": {"app": "app"}}}
    if kind in {"DaemonSet", "Job"}:
        del workload["spec"]["replicas"]
    if kind in {"CronJob", "Job"}:
        find_pod(workload)["spec"]["restartPolicy"] = "Never"
    options = ["--sidecar-image", "example/podrole-sidecar:1", "--region", "eu-west-1", *ACCOUNT]

    printed = CliRunner().invoke(main, ["inject", "-f", "-", *options], input=yaml.safe_dump(workload))
    stored = api.create(yaml.safe_load(printed.stdout), namespace, dry_run=True).object

    assert [one["name"] for one in find_pod(stored)["spec"]["initContainers"]] == OURS


def test_settings_are_read_from_the_injector_s_deployment(
    api: ApiServer, namespaces: Namespaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = namespaces.make()
    monkeypatch.setattr(installed_config, "find_deployment", lambda _: installed_config.DeploymentRef(namespace))
    variables = {"PODROLE_SIDECAR_IMAGE": "example/own:9", "PODROLE_REGION": "ap-south-1"}
    container = {**APP, "env": [{"name": name, "value": value} for name, value in variables.items()]}
    template = {"metadata": {"labels": {"app": "injector"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "injector"}}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "podrole-injector"}, "spec": spec}
    api.create(deployment, namespace)
    arguments = ["inject", "-f", "-", "-n", namespace, "--cluster", "--kubeconfig", api.kubeconfig]

    result = CliRunner().invoke(main, arguments, input=json.dumps(build_pod({"iam.amazonaws.com/role": f"{BASE}x"})))

    assert result.exit_code == 0, result.stderr
    assert "example/own:9" in result.stdout
    assert "ap-south-1" in result.stdout
