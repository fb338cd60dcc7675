"""`podrole plan` of manifests: the table, JSON, HTML, and the exit codes."""

import html.parser
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.estate import WRONG, build_estate, build_workload
from testing.hostile_text import STORED, find_unprintable
from testing.repository import ROOT
from tests.unit.docs.pages import read_section
from tests.unit.podrole.conftest import Run
from tests.unit.podrole.manifest_texts import DEPLOYMENT, NAMESPACE

ACCOUNT = ("--account-id", "111122223333", "--region", "eu-west-1")
SERVICE_ACCOUNT = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: default}\n"
GOOD = f"{NAMESPACE}---\n{SERVICE_ACCOUNT}---\n{DEPLOYMENT}"
DENIED = GOOD.replace("reader #", '"a b" #')
MARKUP = "<script>alert(1)</script>\"'&"


def write(text: str) -> None:
    Path("manifests.yaml").write_text(text)


def plan(run: Run, *arguments: str) -> Any:
    return run("plan", "-f", "manifests.yaml", *ACCOUNT, *arguments)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(GOOD, 0, id="good"),
        pytest.param(DENIED, 1, id="denied"),
        pytest.param(GOOD.replace(" iam.amazonaws.com/role", " iam.amazon.com/role"), 1, id="misspelt key"),
        pytest.param(DEPLOYMENT, 3, id="namespace unknown"),
        pytest.param("a: [", 2, id="no YAML"),
    ],
)
def test_exit_code_tells_whether_something_is_wrong(run: Run, text: str, code: int) -> None:
    write(text)

    assert plan(run).code == code


def test_annotation_that_is_no_text_is_unknown_also_without_a_region(run: Run) -> None:
    write(GOOD.replace("reader #", "5 #"))

    result = run("plan", "-f", "manifests.yaml", "--account-id", "111122223333")

    assert (result.code, result.stderr) == (3, "")
    assert "is of type int: quote it" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(("-A", "-n", "a"), "-A cannot be combined", id="all and one namespace"),
        pytest.param(("-A", "-f", "manifests.yaml"), "-A cannot be combined", id="all and manifests"),
        pytest.param(("-f", "manifests.yaml", "-n", "a", "-n", "b"), "only once", id="two namespaces of manifests"),
        pytest.param(("-f", "manifests.yaml", "--account-id", "1"), "12 digits", id="invalid setting"),
    ],
)
def test_invalid_usage_is_reported(run: Run, arguments: tuple[str, ...], problem: str) -> None:
    write(GOOD)

    result = run("plan", *arguments)

    assert (result.code, result.stdout) == (2, "")
    assert problem in result.stderr


def test_missing_cluster_is_reported(run: Run) -> None:
    result = run("plan", "-A")

    assert (result.code, result.stdout) == (3, "")
    assert "kubeconfig" in result.stderr


def test_table_has_the_role_now_and_then_and_the_command_that_restarts(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(GOOD.replace(", labels: {podrole.io/injection: enabled}", ""))

    monkeypatch.setenv("COLUMNS", "120")

    text = plan(run).stdout

    heading = " ".join(text.partition("  WORKLOAD")[0].split())
    assert heading.startswith(
        "namespace default, once it has the label podrole.io/injection: enabled: 1 workload, 1 pod"
    )
    (row,) = [line.split() for line in text.splitlines() if line.startswith("  Deployment/shop")]
    assert " ".join(row) == "Deployment/shop 1 reader (kube2iam or Kiam) reader (pod) redirect 20m 48Mi rollout"
    commands = [line.strip() for line in text.splitlines() if "kubectl" in line]
    assert commands == [
        "kubectl label namespace default podrole.io/injection=enabled --overwrite",
        "kubectl -n default rollout restart deployment/shop",
    ]


@pytest.mark.parametrize(
    ("text", "is_warned"), [pytest.param(GOOD, False, id="good"), pytest.param(DENIED, True, id="denied")]
)
def test_commands_begin_with_what_must_be_mended_first(run: Run, text: str, *, is_warned: bool) -> None:
    write(f"{text}---\n{DEPLOYMENT.replace('shop', 'other')}")

    assert ("First mend the problems above" in plan(run).stdout) is is_warned


@pytest.mark.parametrize(
    ("role", "has_label_command"),
    [
        pytest.param("reader", True, id="injected once they run"),
        pytest.param("a b", False, id="denied"),
    ],
)
def test_namespace_whose_workloads_have_no_pods_is_labelled(run: Run, role: str, *, has_label_command: bool) -> None:
    unlabelled = NAMESPACE.replace("podrole.io/injection: enabled", "other: label")
    scaled = DEPLOYMENT.replace("reader #", f'"{role}" #').replace("spec:", "spec:\n  replicas: 0", 1)
    write(f"{unlabelled}---\n{SERVICE_ACCOUNT}---\n{scaled}")

    text = plan(run).stdout

    assert ("kubectl label namespace default" in text.partition("to do:")[2]) is has_label_command


@pytest.mark.parametrize("width", [20, 80, 100, 120, 300])
def test_table_fits_into_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    long = "x" * 63
    write(GOOD.replace("shop", long).replace("reader #", f"team/{long} #"))

    lines = plan(run).stdout.splitlines()

    most = max(80, min(120, width))
    assert max(len(line) for line in lines if "kubectl" not in line and "> " not in line) <= most


def test_json_has_the_documented_fields(run: Run) -> None:
    write(GOOD)

    document = json.loads(plan(run, "-o", "json").stdout)

    assert {*document} == {"summary", "findings", "namespaces", "workloads"}
    (workload,) = document["workloads"]
    assert workload == {
        "namespace": "default",
        "group": "apps",
        "kind": "Deployment",
        "name": "shop",
        "template": "",
        "service_account": "default",
        "labelled": True,
        "pods": 1,
        "injected_pods": 0,
        "outdated_pods": 0,
        "now": {"system": "kube2iam or Kiam", "role": "reader"},
        "then": {
            "outcome": "Inject",
            "role": "arn:aws:iam::111122223333:role/reader",
            "mode": "redirect",
            "mode_reason": "",
            "reason": "RoleFromPod",
            "message": "An annotation of the pod sets its role.",
        },
        "adds_per_pod": {
            "requests.cpu": "20m",
            "requests.memory": "48Mi",
            "limits.cpu": "0m",
            "limits.memory": "96Mi",
        },
        "adds": {"requests.cpu": "20m", "requests.memory": "48Mi", "limits.cpu": "0m", "limits.memory": "96Mi"},
        "restart": {"how": "rollout", "command": "kubectl -n default rollout restart deployment/shop", "note": ""},
        "findings": [],
    }


class Tags(html.parser.HTMLParser):
    """Notes all tags, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("hostile", [MARKUP, STORED], ids=["markup", "control characters"])
def test_hostile_text_is_text_in_html(run: Run, hostile: str) -> None:
    metadata = {"name": hostile, "namespace": hostile}
    pod = {
        "metadata": {**metadata, "annotations": {"iam.amazonaws.com/role": hostile, f"podrole.io/{hostile}": "x"}},
        "spec": {"serviceAccountName": hostile, "containers": [{"name": hostile, "image": hostile}]},
    }
    things = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": hostile}},
        {"apiVersion": "v1", "kind": "Pod", **pod},
        {"apiVersion": "example.com/v1", "kind": hostile, "metadata": metadata, "spec": {"template": pod}},
    ]
    write(yaml.safe_dump_all(things))

    text = plan(run, "-o", "html").stdout

    parser = Tags()
    parser.feed(text)
    assert {"script", "a", "img", "iframe", "link"}.isdisjoint(parser.tags)
    assert parser.links == []
    assert find_unprintable(text) == ""
    assert text.count("<table>") == text.count("</table>") == 1
    assert "default-src 'none'" in text


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_each_mistake_of_an_estate_is_named_with_its_workload(wrong: Any, run: Run) -> None:
    write(yaml.safe_dump_all(build_estate()))

    document = json.loads(plan(run, "-o", "json").stdout)

    kind, _, name = wrong.name.partition("/")
    if kind == "Namespace":
        findings = [one for found in document["namespaces"] if found["name"] == name for one in found["findings"]]
    else:
        names = wrong.namespace, kind, name
        (found,) = [one for one in document["workloads"] if (one["namespace"], one["kind"], one["name"]) == names]
        findings = found["findings"]
    texts = [one["text"] for one in findings if one["level"] in {"problem", "warning", "unknown"}]
    assert any(wrong.words in text for text in texts), texts


def test_only_wrong_workloads_of_an_estate_have_problems(run: Run) -> None:
    write(yaml.safe_dump_all(build_estate()))

    document = json.loads(plan(run, "-o", "json").stdout)

    wrong = {(one.namespace, one.name) for one in WRONG.values()}
    with_problem = {
        (one["namespace"], f"{one['kind']}/{one['name']}")
        for one in document["workloads"]
        if any(finding["level"] == "problem" for finding in one["findings"])
    }
    assert with_problem
    assert with_problem <= wrong


def test_policies_of_a_directory_are_compared(run: Run) -> None:
    write(GOOD)
    Path("policies").mkdir()
    Path("policies/reader.json").write_text('{"Version": "2012-10-17", "Statement": []}')
    Path("policies/broken.json").write_text("{")

    result = plan(run, "--policies", "policies", "--issuer", "https://oidc.example.com", "-o", "json")

    document = json.loads(result.stdout)
    assert result.code == 1
    assert [one["code"] for one in document["workloads"][0]["findings"]] == ["TrustMissing"]
    assert [one["code"] for one in document["findings"]] == ["PoliciesUnreadable"]


def test_issuer_without_policies_is_reported(run: Run) -> None:
    write(GOOD)

    result = plan(run, "--issuer", "https://oidc.example.com")

    assert (result.code, result.stdout) == (2, "")
    assert "--issuer is used only with --policies" in result.stderr


def test_role_of_another_partition_is_not_denied_where_the_region_is_unknown(run: Run) -> None:
    write(GOOD.replace("reader #", "arn:aws-cn:iam::111122223333:role/reader #"))

    document = json.loads(run("plan", "-f", "manifests.yaml", "-o", "json").stdout)

    assert document["workloads"][0]["then"]["role"] == "arn:aws-cn:iam::111122223333:role/reader"
    assert [one["code"] for one in document["findings"]] == ["NotInstalled"]


AGENT = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube2iam, namespace: default}
spec:
  template:
    spec: {hostNetwork: true, containers: [{name: kube2iam, image: a, args: [--base-role-arn=BASE]}]}
"""


@pytest.mark.parametrize(
    ("base", "role"),
    [
        pytest.param("arn:aws:iam::111122223333:role/x/", "arn:aws:iam::111122223333:role/x/reader", id="prefix"),
        pytest.param("arn:aws:iam::111122223333:role/x", None, id="no prefix"),
        pytest.param("", None, id="empty"),
    ],
)
def test_names_mean_what_they_mean_to_kube2iam_where_nothing_else_is_known(
    run: Run, base: str, role: str | None
) -> None:
    write(f"{GOOD}---\n{AGENT.replace('BASE', base)}")

    document = json.loads(run("plan", "-f", "manifests.yaml", "-o", "json").stdout)

    (found,) = [one for one in document["workloads"] if one["kind"] == "Deployment"]
    assert found["then"]["role"] == role
    (note,) = [one["text"] for one in document["findings"] if one["code"] == "NotInstalled"]
    assert (f"are those of {base}." if role else "are denied") in note


def build_example() -> list[dict[str, Any]]:
    """The namespace in docs/cli.md."""
    whole = {"cpu": "1", "memory": "2Gi"}
    container = {"resources": {"requests": whole, "limits": whole}}
    backup = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/shop-backup"}
    allowed = {"iam.amazonaws.com/allowed-roles": '["shop-w*", "shop-b*"]'}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "annotations": allowed}},
        *(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": name, "namespace": "shop", "annotations": annotations},
            }
            for name, annotations in {"default": {}, "db": backup}.items()
        ),
        build_workload("Deployment", "web", "shop", {"role": "shop-writer", "spec": {"replicas": 3}}),
        build_workload("StatefulSet", "db", "shop", {"account": "db", "container": container}),
        build_workload("CronJob", "report", "shop", {"role": "shop-reader"}),
    ]


def test_example_in_the_documentation_is_what_the_command_prints(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "118")
    write(yaml.safe_dump_all(build_example()))

    printed = plan(run).stdout

    section = read_section(ROOT / "docs/cli.md", "plan")
    lines = [line.removeprefix("    ") for line in section.splitlines() if not line or line.startswith("    ")]
    assert printed.strip() in "\n".join(lines)
