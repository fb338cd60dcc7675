"""`podrole inject` on real files: what is printed, what is told, and with which exit code it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.repository import ROOT
from tests.unit.injector.cases import CONFIG, PODS, Case, build_case, find_container, load_case
from tests.unit.podrole.conftest import Run
from tests.unit.podrole.manifests import DENIED, DEPLOYMENT, NAMESPACE, SERVICE
from tests.unit.podrole.workloads import KINDS, Manifest, build_workload, find_pod

CASES = {path.stem: load_case(path.stem) for path in sorted(PODS.glob("*.yaml"))}


def write(directory: Path, **texts: str) -> str:
    for name, text in texts.items():
        (directory / f"{name}.yaml").write_text(text)
    return str(directory)


def documents_of(text: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(text) if document]


def manifests_of(case: Case) -> str:
    """The namespace and the account around a case, for --manifests."""
    pod = case.pod
    namespace = pod["metadata"]["namespace"]
    things: list[Any] = []
    if case.namespace is not None:
        meta = {
            "name": namespace,
            "labels": dict(case.namespace.labels),
            "annotations": dict(case.namespace.annotations),
        }
        things.append({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    if case.service_account is not None:
        name = pod["spec"].get("serviceAccountName", "default")
        meta = {"name": name, "namespace": namespace, "annotations": dict(case.service_account.annotations)}
        things.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    return yaml.safe_dump_all(things)


def test_a_file_that_is_not_there_is_named(run: Run) -> None:
    result = run("inject", "-f", "nowhere.yaml")

    assert result.code == 2
    assert "nowhere.yaml" in result.stderr


def test_missing_settings_are_all_named_by_option_and_variable(run: Run, tmp_path: Path) -> None:
    result = run("inject", "-f", write(tmp_path, shop=DEPLOYMENT))

    assert (result.code, result.stdout) == (2, "")
    assert "--sidecar-image (PODROLE_SIDECAR_IMAGE) is not set" in result.stderr
    assert "--region (PODROLE_REGION) is not set" in result.stderr
    assert "--cluster" in result.stderr


def test_a_wrong_setting_is_named_by_its_option(run: Run, tmp_path: Path, settings: dict[str, str]) -> None:
    result = run("inject", "-f", write(tmp_path, shop=DEPLOYMENT), "--mode", "magic")

    assert (result.code, result.stdout) == (2, "")
    assert "--mode (PODROLE_MODE) is 'magic': it must be auto, redirect or env" in result.stderr
    assert settings


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: Pod\n\tspec: x", "-, document 1 (line 2, column 1)"),
        ("a: 1\n---\napiVersion: v1\nkind: Pod\nspec: [", "-, document 2"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}", "-, document 1: the pod has no spec"),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}", "-, document 1: Deployment a has no spec"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {annotations: {a: 1}}\nspec: {}", "value of a is of type int: quote it"),
        ("apiVersion: v1\nkind: Pod\nspec: {containers: {}}", "-, document 1: containers must be a list"),
        ("apiVersion: v1\nkind: Namespace\nmetadata: []", "-, document 1: metadata is of type list"),
        ("", "nothing in the input"),
        ("# nothing\n---\n", "nothing in the input"),
    ],
)
def test_broken_input_is_named_with_its_place(run: Run, text: str, problem: str) -> None:
    result = run("inject", "-f", "-", stdin=text)

    assert (result.code, result.stdout) == (2, "")
    assert problem in result.stderr


@pytest.mark.usefixtures("settings")
def test_one_denied_pod_keeps_everything_back(run: Run, tmp_path: Path) -> None:
    result = run("inject", "-f", write(tmp_path, a=DEPLOYMENT, b=DENIED, c=SERVICE))

    assert (result.code, result.stdout) == (1, "")
    assert "b.yaml, document 1: Deployment default/shop\n  Deny: annotation iam.amazonaws.com/role of" in result.stderr
    assert "no manifest was printed" in result.stderr


@pytest.mark.usefixtures("settings")
def test_all_that_speaks_against_a_pod_is_told(run: Run) -> None:
    text = DENIED.replace("annotations:", "annotations:\n        podrole.io/imds-tokens: maybe")

    result = run("inject", "-f", "-", stdin=text)

    assert "  and: " in result.stderr
    assert "podrole.io/imds-tokens" in result.stderr


@pytest.mark.usefixtures("settings")
def test_what_is_not_changed_comes_out_letter_by_letter(run: Run, tmp_path: Path) -> None:
    result = run("inject", "-f", write(tmp_path, a=SERVICE, b=DEPLOYMENT, c=NAMESPACE))

    assert result.code == 0
    assert result.stdout.startswith(f"{SERVICE}---\n# A shop.\n")
    assert result.stdout.endswith(f"---\n{NAMESPACE}")
    assert "iam.amazonaws.com/role: reader # only reads\n" in result.stdout
    assert [line for line in DEPLOYMENT.splitlines() if line not in result.stdout.splitlines()] == []


@pytest.mark.usefixtures("settings")
def test_a_person_is_told_what_became_of_a_pod_and_what_its_role_needs(run: Run) -> None:
    result = run("inject", "-f", "-", stdin=f"{DEPLOYMENT}---\n{NAMESPACE}")

    variables = (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials, AWS_REGION=eu-west-1, AWS_DEFAULT_REGION=eu-west-1"
    )
    told = "Inject (mode redirect, role arn:aws:iam::111122223333:role/reader): An annotation of the pod sets its role."
    assert result.stderr.splitlines() == [
        "-, document 1: Deployment default/shop",
        f"  {told}",
        "  adds the init containers podrole-redirect and podrole-sidecar",
        f"  adds to container app: {variables}",
        "Each role must trust its pods. To see the trust policy that it needs:",
        "  podrole trust-policy arn:aws:iam::111122223333:role/reader --namespace default --service-account default",
    ]


@pytest.mark.usefixtures("settings")
def test_a_namespace_without_the_label_is_no_hindrance_and_is_told(run: Run) -> None:
    unlabelled = NAMESPACE.replace(", labels: {podrole.io/injection: enabled}", "")

    result = run("inject", "-f", "-", stdin=f"{DEPLOYMENT}---\n{unlabelled}")

    assert result.code == 0
    assert "podrole-sidecar" in result.stdout
    assert "note: Namespace default lacks the label podrole.io/injection: enabled" in result.stderr


@pytest.mark.usefixtures("settings")
def test_a_namespace_and_an_account_that_nobody_knows_are_no_hindrance_and_are_told(run: Run) -> None:
    text = DEPLOYMENT.replace("    spec:\n", "    spec:\n      serviceAccountName: web\n")

    result = run("inject", "-f", "-", "-n", "team-a", stdin=text)

    assert result.code == 0
    assert "Deployment team-a/shop\n  Inject" in result.stderr
    assert "note: Namespace team-a is not among the manifests" in result.stderr
    assert "note: ServiceAccount web is not among the manifests" in result.stderr
    assert "--namespace team-a --service-account web" in result.stderr


@pytest.mark.usefixtures("settings")
def test_a_role_comes_from_the_account_of_another_manifest_which_is_not_printed(run: Run, tmp_path: Path) -> None:
    account = "kind: ServiceAccount\nmetadata: {name: default, annotations: {iam.amazonaws.com/role: writer}}\n"
    others = tmp_path / "others"
    others.mkdir()
    text = DEPLOYMENT.replace("      annotations:\n        iam.amazonaws.com/role: reader # only reads\n", "")

    result = run("inject", "-f", "-", "-n", "a", "--manifests", write(others, account=account), stdin=text)

    assert (
        "role arn:aws:iam::111122223333:role/writer): An annotation of the pod's ServiceAccount sets its role."
        in result.stderr
    )
    assert "kind: ServiceAccount" not in result.stdout


@pytest.mark.usefixtures("settings")
def test_a_pod_without_a_role_is_blocked_and_the_person_is_told_why(run: Run) -> None:
    result = run("inject", "-f", "-", stdin=DEPLOYMENT.replace("iam.amazonaws.com/role", "example.com/role"))

    assert result.code == 0
    assert "Block (mode block): No role is configured for this pod" in result.stderr
    assert "trust-policy" not in result.stderr


@pytest.mark.usefixtures("settings")
def test_an_option_wins_over_its_variable(run: Run) -> None:
    result = run("inject", "-f", "-", "--region", "us-east-1", "--mode", "env", stdin=DEPLOYMENT)

    assert "value: us-east-1" in result.stdout
    assert "mode env" in result.stderr


@pytest.mark.usefixtures("settings")
def test_a_template_of_ones_own_is_found_beside_the_person(run: Run, tmp_path: Path) -> None:
    shipped = (ROOT / "injector/patch/template.yaml").read_text()
    (tmp_path / "own.yaml").write_text(shipped.replace("memory: 96Mi", "memory: 97Mi"))

    result = run("inject", "-f", "-", "--template", "own.yaml", stdin=DEPLOYMENT)

    assert "memory: 97Mi" in result.stdout


@pytest.mark.usefixtures("settings")
def test_what_is_injected_already_is_left_and_told(run: Run) -> None:
    once = run("inject", "-f", "-", stdin=DEPLOYMENT)

    twice = run("inject", "-f", "-", stdin=once.stdout)

    assert twice.stdout == once.stdout
    assert "Nothing had to be changed." in twice.stderr


@pytest.mark.usefixtures("settings")
def test_without_any_pod_everything_is_printed_and_told(run: Run) -> None:
    result = run("inject", "-f", "-", stdin=SERVICE)

    assert (result.code, result.stdout) == (0, SERVICE)
    assert "no pod and no workload" in result.stderr


@pytest.mark.usefixtures("settings")
def test_a_program_gets_a_record_for_each_template(run: Run, tmp_path: Path) -> None:
    result = run("inject", "-o", "json", "-f", write(tmp_path, a=DEPLOYMENT, b=DENIED, c=SERVICE))

    good, bad = json.loads(result.stdout)
    assert result.code == 1
    assert good == {
        "file": str(tmp_path / "a.yaml"),
        "document": 1,
        "kind": "Deployment",
        "namespace": "default",
        "name": "shop",
        "outcome": "Inject",
        "reason": "RoleFromPod",
        "message": "An annotation of the pod sets its role.",
        "mode": "redirect",
        "role": "arn:aws:iam::111122223333:role/reader",
        "warnings": [],
        "notes": good["notes"],
        "patch": good["patch"],
    }
    assert {operation["path"].split("/")[1:3] == ["spec", "template"] for operation in good["patch"]} == {True}
    assert (bad["outcome"], bad["reason"], bad["patch"]) == ("Deny", "InvalidRole", [])


@pytest.mark.usefixtures("settings")
def test_json_in_json_out(run: Run) -> None:
    text = json.dumps(yaml.safe_load(DEPLOYMENT), indent=2)

    result = run("inject", "-f", "-", stdin=text)

    pod = find_pod(json.loads(result.stdout))
    assert find_container(pod, "podrole-sidecar")["restartPolicy"] == "Always"
    assert result.stdout.startswith('{\n  "apiVersion"')


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_every_item_of_a_list_is_looked_at(run: Run, form: str) -> None:
    pod = build_case().pod
    items = [build_workload(kind, pod) for kind in KINDS] + [{"apiVersion": "v1", "kind": "Service"}]
    document = {"apiVersion": "v1", "kind": "List", "items": items}
    text = json.dumps(document, indent=1) if form == "json" else yaml.safe_dump(document)

    result = run("inject", "-f", "-", stdin=text)

    printed = yaml.safe_load(result.stdout)["items"]
    assert [item["kind"] for item in printed] == [item["kind"] for item in items]
    assert printed[-1] == items[-1]
    for item in printed[:-1]:
        assert find_pod(item)["spec"] == build_case().inject()["spec"]


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["Pod", "CronJob"])
def test_the_pods_are_what_the_webhook_makes_of_them(run: Run, tmp_path: Path, kind: str, name: str) -> None:
    case = CASES[name]
    text = yaml.safe_dump(build_workload(kind, case.pod))

    result = run("inject", "-f", "-", "--manifests", write(tmp_path, around=manifests_of(case)), stdin=text)

    outcome = type(case.decide()).__name__
    if name in {"namespace-without-label", "namespace-missing"}:
        assert "Inject" in result.stderr
    elif outcome == "Deny":
        assert (result.code, result.stdout) == (1, "")
    elif outcome == "Skip":
        assert (result.code, result.stdout) == (0, text)
    else:
        assert result.code == 0
        assert find_pod(documents_of(result.stdout)[0])["spec"] == case.inject(CONFIG)["spec"]


def test_the_console_script_injects_from_a_pipe(run_process: Run) -> None:
    arguments = (
        "inject",
        "-f",
        "-",
        "--sidecar-image",
        "a/b:1",
        "--region",
        "eu-west-1",
        "--account-id",
        "111122223333",
    )

    result = run_process(*arguments, stdin=DEPLOYMENT.encode())

    assert result.code == 0
    assert find_container(find_pod(yaml.safe_load(result.stdout)), "podrole-sidecar")["image"] == "a/b:1"
    assert "Deployment default/shop\n  Inject" in result.stderr
