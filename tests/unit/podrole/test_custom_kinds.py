"""Custom kinds: `inject` and `uninject` change those of the table, and say a word about each that they do not."""

import json
from typing import Any

import pytest
import yaml

from injector.k8s.workload_kinds import WORKLOAD_KINDS
from podrole.estate.unknown_templates import MAX_DEPTH, MAX_FOUND, MAX_VALUES, find_unchanged
from tests.unit.podrole.conftest import Run

pytestmark = pytest.mark.usefixtures("settings")

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: app
spec:
  containers:
  - name: app
    image: example/app:1
"""
ROLLOUT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: web # canary
spec:
  template:
    spec:
      containers:
      - name: app
        image: example/app:1
"""
SCALED_JOB = (
    ROLLOUT.replace("argoproj.io", "keda.sh")
    .replace("Rollout", "ScaledJob")
    .replace(
        "  template:\n    spec:\n      containers:\n      - name: app\n        image",
        "  jobTargetRef:\n    template:\n      spec:\n        containers:\n        - name: app\n          image",
    )
)
CLONE_SET = ROLLOUT.replace("argoproj.io", "apps.kruise.io").replace("Rollout", "CloneSet")
KNATIVE = ROLLOUT.replace("argoproj.io/v1alpha1", "serving.knative.dev/v1").replace("Rollout", "Service")
UNKNOWN = ROLLOUT.replace("argoproj.io", "example.com").replace("Rollout", "Web")
SPARK = """\
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {name: pi}
spec:
  driver: {serviceAccount: spark}
"""
REFERENCE = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec: {workloadRef: {name: web}}\n"
OPTION = "Web.example.com=spec.template"


def document_of(spec: Any, kind: str = "Web") -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec}


@pytest.mark.parametrize(
    "command", [("inject",), ("uninject",), ("trust-policy", "--all", "--issuer", "https://a.example")], ids=str
)
def test_option_of_another_form_ends_the_command(run: Run, command: tuple[str, ...]) -> None:
    result = run(*command, "-f", "-", "--pod-template-path", "spec.template", stdin=POD)

    assert (result.code, result.stdout) == (2, "")
    assert "--pod-template-path 'spec.template' is not KIND.GROUP=PATH" in result.stderr


def test_rollout_beside_a_pod_is_injected_and_restored(run: Run) -> None:
    text = f"{POD}---\n{ROLLOUT}"

    injected = run("inject", "-f", "-", stdin=text)

    assert "Rollout default/web\n  Block" in injected.stderr
    assert injected.stdout.count("name: podrole-redirect") == 2
    assert run("inject", "-f", "-", stdin=injected.stdout).stdout == injected.stdout
    assert run("uninject", "-f", "-", stdin=injected.stdout).stdout == text


@pytest.mark.parametrize("text", [pytest.param(SCALED_JOB, id="ScaledJob"), pytest.param(CLONE_SET, id="CloneSet")])
def test_custom_kind_is_injected_in_each_form_and_restored(run: Run, text: str) -> None:
    manifest = yaml.safe_load(text)
    forms = [
        text,
        text.replace("\n", "\r\n"),
        f"\ufeff{text}",
        json.dumps(manifest, indent=2),
        json.dumps({"apiVersion": "v1", "kind": "List", "items": [manifest]}),
        yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [manifest]}),
    ]
    for form in forms:
        injected = run("inject", "-f", "-", stdin=form.encode())

        assert injected.stdout.count("podrole-redirect") >= 1
        assert run("uninject", "-f", "-", stdin=injected.stdout.encode()).stdout == form


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            KNATIVE,
            "Knative refuses init containers with a restartPolicy, as the sidecar has, "
            "so podrole does not change its manifest.",
            id="knative",
        ),
        pytest.param(
            SPARK,
            "Spark builds pods from the fields of spec.driver and spec.executor, "
            "so podrole does not change its manifest.",
            id="spark",
        ),
        pytest.param(
            REFERENCE, "It has no pod template (spec.template), so podrole does not change it.", id="workload-ref"
        ),
        pytest.param(
            UNKNOWN,
            "It has spec.template.spec.containers, which is in no pod template that podrole knows, "
            "so it is left as it is.",
            id="unknown",
        ),
    ],
)
def test_object_that_is_not_injected_is_printed_unchanged_with_a_word(run: Run, text: str, sentence: str) -> None:
    result = run("inject", "-f", "-", stdin=text)

    assert (result.code, result.stdout) == (0, text)
    assert f"\n  Skip: {sentence}\n" in result.stderr
    assert "  note: The webhook injects its pods when they are created.\n" in result.stderr


def test_unknown_template_names_the_option_which_injects_it(run: Run) -> None:
    noted = run("inject", "-f", "-", stdin=UNKNOWN)
    injected = run("inject", "-f", "-", "--pod-template-path", OPTION, stdin=UNKNOWN)
    restored = run("uninject", "-f", "-", "--pod-template-path", OPTION, stdin=injected.stdout)
    forgotten = run("uninject", "-f", "-", stdin=injected.stdout)

    assert f"note: If spec.template is a pod template, use --pod-template-path '{OPTION}'.\n" in noted.stderr
    assert "Web default/web\n  Block" in injected.stderr
    assert restored.stdout == UNKNOWN
    assert forgotten.stdout == injected.stdout
    assert f"use --pod-template-path '{OPTION}'" in forgotten.stderr


def test_option_injects_a_kind_that_the_table_leaves_to_the_webhook(run: Run) -> None:
    result = run("inject", "-f", "-", "--pod-template-path", "Service.serving.knative.dev=spec.template", stdin=KNATIVE)

    assert "podrole-redirect" in result.stdout


def test_json_output_has_an_entry_for_an_object_that_is_not_injected(run: Run) -> None:
    result = run("inject", "-f", "-", "-o", "json", stdin=UNKNOWN)

    [entry] = json.loads(result.stdout)
    assert (entry["kind"], entry["name"], entry["outcome"]) == ("Web", "web", "Skip")
    assert (entry["reason"], entry["patch"]) == ("UnknownPodTemplate", [])


@pytest.mark.parametrize(
    ("spec", "places"),
    [
        pytest.param({"containers": [{"name": "a"}]}, ["spec.containers"], id="in-the-spec"),
        pytest.param(
            {"groups": [{"pod": {"spec": {"containers": [{"name": "a"}]}}}] * 3},
            ["spec.groups.*.pod.spec.containers"],
            id="elements-of-a-list-once",
        ),
        pytest.param({"pod": {"spec": {"containers": []}}}, [], id="no-containers"),
        pytest.param({"pod": {"spec": {"containers": ["a", {"x": 1}]}}}, [], id="not-containers"),
        pytest.param({"pod": {"spec": {"containers": {"name": "a"}}}}, [], id="not-a-list"),
        pytest.param({"containers": "a"}, [], id="text"),
    ],
)
def test_containers_are_found_wherever_a_pod_template_can_be(spec: Any, places: list[str]) -> None:
    found = find_unchanged(document_of(spec), WORKLOAD_KINDS)

    assert [one.sentence.split(",")[0] for one in found] == [f"It has {place}" for place in places]


def test_search_for_containers_has_limits() -> None:
    pod = {"spec": {"containers": [{"name": "a"}]}}
    deep: Any = pod
    for _ in range(MAX_DEPTH):
        deep = {"x": deep}
    many = {f"group{index}": pod for index in range(MAX_FOUND + 1)}
    long = {"late": pod, "values": [{}] * MAX_VALUES}

    assert [len([*find_unchanged(document_of(spec), WORKLOAD_KINDS)]) for spec in (deep, many, long)] == [
        0,
        MAX_FOUND,
        0,
    ]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"spec": {"containers": [{"name": "a"}]}}, id="no-kind"),
        pytest.param(document_of({"containers": [{"name": "a"}]}, kind="Pod") | {"apiVersion": "v1"}, id="pod"),
    ],
)
def test_file_that_is_no_object_and_known_kinds_get_no_note(document: Any) -> None:
    assert [*find_unchanged(document, WORKLOAD_KINDS)] == []
