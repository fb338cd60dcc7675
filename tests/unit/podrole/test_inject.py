"""The manifests that `podrole inject` prints."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import contract
from testing.cases import CONFIG, PODS, Case, build_case, find_container, load_case
from testing.repository import ROOT
from tests.unit.podrole.conftest import Run
from tests.unit.podrole.manifest_texts import DEPLOYMENT, NAMESPACE, SERVICE, write
from tests.unit.podrole.workloads import KINDS, Manifest, build_workload, find_pod

CASES = {path.stem: load_case(path.stem) for path in sorted(PODS.glob("*.yaml"))}


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


@pytest.mark.usefixtures("settings")
def test_unchanged_documents_and_lines_are_printed_byte_for_byte(run: Run, tmp_path: Path) -> None:
    result = run("inject", "-f", write(tmp_path, a=SERVICE, b=DEPLOYMENT, c=NAMESPACE))

    assert result.code == 0
    assert result.stdout.startswith(f"{SERVICE}---\n# A shop.\n")
    assert result.stdout.endswith(f"---\n{NAMESPACE}")
    assert "iam.amazonaws.com/role: reader # only reads\n" in result.stdout
    assert [line for line in DEPLOYMENT.splitlines() if line not in result.stdout.splitlines()] == [LABELS]
    assert f'{LABELS[:-1]}, podrole.io/mode: "redirect", podrole.io/version: "{contract.VERSION}"}}\n' in result.stdout


LABELS = "      labels: {app: shop}"


@pytest.mark.usefixtures("settings")
def test_role_comes_from_account_in_manifests_option_which_is_not_printed(run: Run, tmp_path: Path) -> None:
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
def test_option_overrides_environment_variable(run: Run) -> None:
    result = run("inject", "-f", "-", "--region", "us-east-1", "--mode", "env", stdin=DEPLOYMENT)

    assert "value: us-east-1" in result.stdout
    assert "mode env" in result.stderr


@pytest.mark.usefixtures("settings")
def test_custom_template_is_read_relative_to_the_working_directory(run: Run, tmp_path: Path) -> None:
    shipped = (ROOT / "injector/patch/template.yaml").read_text()
    (tmp_path / "own.yaml").write_text(shipped.replace("memory: 96Mi", "memory: 97Mi"))

    result = run("inject", "-f", "-", "--template", "own.yaml", stdin=DEPLOYMENT)

    assert "memory: 97Mi" in result.stdout


SHARED_ENV = """\
kind: Pod
metadata: {name: app, annotations: {iam.amazonaws.com/role: reader}}
spec:
  containers:
  - name: one
    env: &env
    - {name: A, value: b}
  - name: two
    env: *env
"""
SHARED_POD = """\
kind: List
items:
- kind: Pod
  metadata: &metadata {name: app, annotations: {iam.amazonaws.com/role: reader}}
  spec: &spec
    containers: [{name: app}, {name: podrole-sidecar}]
- kind: Deployment
  metadata: {name: web}
  spec:
    template: {metadata: *metadata, spec: *spec}
"""


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    "text", [pytest.param(SHARED_ENV, id="env-of-two-containers"), pytest.param(SHARED_POD, id="spec-of-two-pods")]
)
def test_manifest_with_aliases_is_changed_as_one_without(run: Run, text: str) -> None:
    without_aliases = json.dumps(yaml.safe_load(text))

    result, expected = (run("inject", "-f", "-", stdin=f"{NAMESPACE}---\n{one}") for one in (text, without_aliases))

    assert result.code == 0
    assert documents_of(result.stdout) == documents_of(expected.stdout)


@pytest.mark.usefixtures("settings")
def test_json_manifest_stays_json(run: Run) -> None:
    text = json.dumps(yaml.safe_load(DEPLOYMENT), indent=2)

    result = run("inject", "-f", "-", stdin=text)

    pod = find_pod(json.loads(result.stdout))
    assert find_container(pod, "podrole-sidecar")["restartPolicy"] == "Always"
    assert result.stdout.startswith('{\n  "apiVersion"')


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_every_item_of_a_list_is_injected(run: Run, form: str) -> None:
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
def test_pods_are_changed_as_by_the_webhook(run: Run, tmp_path: Path, kind: str, name: str) -> None:
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


def test_command_injects_from_a_pipe(run_process: Run) -> None:
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
