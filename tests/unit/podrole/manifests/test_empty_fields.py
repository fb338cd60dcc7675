"""Empty lists and objects that an injection fills are there again after `uninject`, byte for byte."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from podrole.manifests.empty_fields import MAX_RECORDED, record_empty_fields, restore_empty_fields
from tests.unit.podrole.conftest import Run

pytestmark = pytest.mark.usefixtures("settings")

NAMESPACE = """\
kind: Namespace
metadata: {name: default, labels: {podrole.io/injection: enabled}, annotations: {podrole.io/default-role: reader}}
"""
TEXTS = {
    "env": "kind: Pod\nmetadata:\n  name: app\nspec:\n  containers:\n  - env: [] # none\n    name: app\n",
    "env-last": "kind: Pod\nspec:\n  containers:\n  - name: app\n    env: []",
    "volumes-and-init-containers": (
        "kind: Pod\nspec:\n  volumes: []\n  initContainers: []\n  containers:\n  - name: app\n    volumeMounts: []\n"
    ),
    "null-without-text": "kind: Pod\nspec:\n  initContainers:\n  volumes:\n  containers:\n  - name: app\n    env:\n",
    "metadata-of-template": (
        "kind: Job\napiVersion: batch/v1\nspec:\n  template:\n"
        "    metadata:\n    spec:\n      containers:\n      - name: app\n"
    ),
    "annotations": "kind: Pod\nmetadata:\n  annotations: {} # none\n  labels:\nspec:\n  containers:\n  - name: app\n",
    "variables": (
        "kind: Pod\nspec:\n  containers:\n  - name: app # here\n    env:\n    - name: HTTPS_PROXY\n"
        "      value: http://proxy:3128\n    - name: NO_PROXY\n      value: # none\n"
        "    - name: AWS_REGION\n      value:\n"
    ),
    "labels": "kind: Pod\nmetadata:\n  labels: {} # none\n  name: app\nspec:\n  containers:\n  - name: app\n",
    "labels-with-others": (
        "kind: Pod\nmetadata:\n  labels:\n    # of the team\n    app: shop # one\n\n  name: app\n"
        "spec:\n  containers:\n  - name: app\n"
    ),
    "labels-in-flow-style": (
        "kind: Pod\nmetadata: {name: app, labels: {app: shop,}} # x\nspec:\n  containers:\n  - name: app\n"
    ),
    "flow": "kind: Pod\nmetadata: {}\nspec: {volumes: [], containers: [{name: app, env: []}]}\n",
    "pull-secrets": "kind: Pod\nspec:\n  imagePullSecrets: [] # none\n  containers:\n  - name: app\n",
    "pull-secrets-null": "kind: Pod\nspec:\n  imagePullSecrets:\n  containers:\n  - name: app\n",
    "variables-in-flow": (
        "kind: Pod\nspec:\n  containers:\n  - name: app\n"
        "    env: [{name: HTTPS_PROXY, value: http://proxy:3128}, {name: NO_PROXY, value: null},\n"
        "          {name: AWS_REGION, value: null}]\n"
    ),
    "variables-in-json": json.dumps(
        {
            "kind": "Pod",
            "spec": {
                "containers": [
                    {
                        "name": "app",
                        "env": [
                            {"name": "HTTPS_PROXY", "value": "http://proxy:3128"},
                            {"name": "NO_PROXY", "value": None},
                            {"name": "AWS_REGION", "value": None},
                        ],
                    }
                ]
            },
        }
    ),
    "crlf": "kind: Pod\r\nspec:\r\n  volumes: []\r\n  containers:\r\n  - env: []\r\n    name: app\r\n",
    "json": json.dumps(
        {
            "kind": "Pod",
            "metadata": {"annotations": None},
            "spec": {"volumes": [], "containers": [{"name": "app", "env": []}]},
        }
    ),
    "json-indented": json.dumps(
        {"kind": "Pod", "spec": {"volumes": None, "containers": [{"name": "app", "env": []}]}}, indent=2
    ),
}


@pytest.mark.parametrize("mode", ["redirect", "env"])
@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in TEXTS.items()])
def test_empty_field_is_filled_and_restored(run: Run, tmp_path: Path, text: str, mode: str) -> None:
    (tmp_path / "namespace.yaml").write_text(NAMESPACE)
    options = ("--manifests", "namespace.yaml", "--mode", mode, "--image-pull-secrets", "registry")

    injected = run("inject", "-f", "-", *options, stdin=text.encode())
    again = run("inject", "-f", "-", *options, stdin=injected.stdout.encode())
    restored = run("uninject", "-f", "-", stdin=injected.stdout.encode())

    assert "podrole-sidecar" in injected.stdout
    assert again.stdout == injected.stdout
    assert (restored.code, restored.stdout) == (0, text)


def test_empty_field_of_a_pod_without_role_stays_where_nothing_is_added(run: Run) -> None:
    text = TEXTS["env"]

    injected = run("inject", "-f", "-", stdin=text)

    assert "env: [] # none\n" in injected.stdout
    assert '"empty"' not in injected.stdout
    assert run("uninject", "-f", "-", stdin=injected.stdout).stdout == text


STATUS = "podrole.io/status"


@pytest.mark.parametrize(
    "status",
    [
        pytest.param("{", id="not-json"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param('{"empty": []}', id="list"),
        pytest.param('{"empty": {"/spec/volumes": [{"name": "evil"}]}}', id="a-volume"),
        pytest.param('{"empty": {"/spec/volumes": "x"}}', id="text"),
        pytest.param('{"empty": {"/spec/hostPID": {}, "/spec/containers/1/env": [], "": null}}', id="other-fields"),
        pytest.param('{"empty": {"/spec/containers/0/env": []}}', id="field-that-is-filled"),
    ],
)
def test_forged_record_adds_nothing(run: Run, status: str) -> None:
    pod: dict[str, Any] = {"kind": "Pod", "metadata": {"annotations": {STATUS: status, "a": "b"}}}
    pod["spec"] = {"containers": [{"name": "app", "env": [{"name": "A", "value": "b"}]}]}

    result = run("uninject", "-f", "-", stdin=yaml.safe_dump(pod))

    assert yaml.safe_load(result.stdout) == {**pod, "metadata": {"annotations": {"a": "b"}}}


def test_number_of_recorded_fields_has_a_limit() -> None:
    count = MAX_RECORDED + 1
    containers = [{"name": f"c{index}", "env": []} for index in range(count)]
    pod = {"metadata": {}, "spec": {"containers": containers}}
    filled = [
        {"op": "add", "path": f"/spec/containers/{index}/env/-", "value": {}} for index in range(MAX_RECORDED + 1)
    ]
    annotate = {"op": "add", "path": "/metadata/annotations", "value": {STATUS: "{}"}}

    *_, last = record_empty_fields(pod, [*filled, annotate])

    assert len(json.loads(last["value"])["empty"]) == MAX_RECORDED


def test_pod_that_was_never_injected_is_not_changed() -> None:
    pod = {"metadata": {"annotations": {STATUS: '{"empty": {"/spec/volumes": []}}'}}, "spec": {"containers": []}}

    assert [*restore_empty_fields(pod, [])] == []
