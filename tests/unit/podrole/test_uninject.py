"""`podrole uninject`: what was added is removed, and what was changed since is reported."""

import copy
import json
from typing import Any

import pytest
import yaml

import contract
from injector.value_types import ModePolicy, RedirectBackend
from testing.cases import CONFIG, Case, build_case, load_injectable_cases
from tests.unit.injector.generated_pods import normalize
from tests.unit.podrole.conftest import Run
from tests.unit.podrole.manifest_texts import DEPLOYMENT, SERVICE, TEXTS
from tests.unit.podrole.workloads import KINDS, build_workload, find_pod

CASES = {name: case for name, case in load_injectable_cases().items() if name != "forged"}
WITH_NULLS = {"null-lists"}
"""Pods with a null that is written as `null`: it has no text again."""

NEED_NAMESPACE = {"intermediate-role-with-tags"}
CONFIGS = {
    "redirect": CONFIG,
    "other-settings": CONFIG._replace(
        region="ap-south-1", aws_endpoint_url="https://store.example", sidecar_image="x/y:9"
    ),
    "env": CONFIG._replace(mode=ModePolicy.ENV),
    "ipv6-only": CONFIG._replace(ipv6_only=True, redirect_backend=RedirectBackend.IPTABLES),
}


def uninject(run: Run, case: Case, pod: Any, kind: str = "Pod") -> tuple[Any, str]:
    result = run("uninject", "-f", "-", stdin=yaml.safe_dump(build_workload(kind, pod)))
    assert case.pod is not pod
    return find_pod(yaml.safe_load(result.stdout)), result.stderr


def test_invalid_manifest_is_reported_with_its_place(run: Run) -> None:
    result = run("uninject", "-f", "-", stdin="apiVersion: v1\nkind: Pod\nspec: {initContainers: [1]}")

    assert (result.code, result.stdout) == (2, "")
    assert "document 1: initContainers must be a list of objects" in result.stderr


def test_manifest_that_was_never_injected_is_printed_byte_for_byte(run: Run) -> None:
    text = f"{SERVICE}---\n{DEPLOYMENT}"

    result = run("uninject", "-f", "-", stdin=text)

    assert (result.code, result.stdout) == (0, text)
    assert "Deployment default/shop\n  Skip: Podrole added nothing to it." in result.stderr


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in TEXTS.items()])
def test_uninject_after_inject_prints_the_original_byte_for_byte(run: Run, text: str) -> None:
    injected = run("inject", "-f", "-", stdin=text.encode())

    result = run("uninject", "-f", "-", stdin=injected.stdout.encode())

    assert "podrole-sidecar" in injected.stdout
    assert (result.code, result.stdout) == (0, text)
    assert "Remove: What podrole added was removed." in result.stderr


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("name", sorted(CASES.keys() - WITH_NULLS - NEED_NAMESPACE))
def test_block_yaml_is_restored_byte_for_byte(run: Run, name: str) -> None:
    text = f"# A pod.\n{yaml.safe_dump(build_workload('Pod', CASES[name].pod), sort_keys=False)}# The end."

    injected = run("inject", "-f", "-", stdin=text)
    result = run("uninject", "-f", "-", stdin=injected.stdout)

    assert "podrole-sidecar" in injected.stdout
    assert result.stdout == text


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", CASES)
def test_injected_pod_is_restored_whatever_settings_injected_it(run: Run, name: str, config: str) -> None:
    case = CASES[name]
    if type(case.decide(CONFIGS[config])).__name__ not in {"Inject", "Block"}:
        return

    restored, stderr = uninject(run, case, case.inject(CONFIGS[config]))

    assert normalize(restored["spec"]) == normalize(case.pod["spec"])
    assert normalize(restored["metadata"]) == normalize(case.pod["metadata"])
    assert "Remove" in stderr


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_restored(run: Run, kind: str) -> None:
    workload = build_workload(kind, build_case().pod)

    injected = run("inject", "-f", "-", stdin=yaml.safe_dump(workload))
    result = run("uninject", "-f", "-", stdin=injected.stdout)

    assert injected.stdout.count("name: podrole-sidecar") == 1
    assert yaml.safe_load(result.stdout) == workload


@pytest.mark.usefixtures("settings")
def test_inject_records_what_it_adds_in_the_pod_template(run: Run) -> None:
    workload = build_workload("Deployment", build_case().pod)

    injected = run("inject", "-f", "-", stdin=yaml.safe_dump(workload))

    template = find_pod(yaml.safe_load(injected.stdout))
    added = json.loads(template["metadata"]["annotations"]["podrole.io/status"])["added"]
    assert added["initContainers"] == ["podrole-redirect", "podrole-sidecar"]
    assert added["containers"]["app"]["env"]["AWS_REGION"] == "eu-west-1"


@pytest.mark.usefixtures("settings")
def test_template_without_metadata_has_none_again(run: Run) -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}}
    job["spec"] = {"template": {"spec": {"containers": [{"name": "app", "image": "a/b:1"}]}}}

    injected = run("inject", "-f", "-", stdin=json.dumps(job))
    result = run("uninject", "-f", "-", stdin=injected.stdout)

    assert "metadata" in json.loads(injected.stdout)["spec"]["template"]
    assert json.loads(result.stdout) == job


def test_variables_beside_those_that_were_added_stay(run: Run) -> None:
    injected = copy.deepcopy(build_case().inject())
    injected["spec"]["containers"][0]["env"].append({"name": "LATER", "value": "1"})

    result = run("uninject", "-f", "-", stdin=yaml.safe_dump(build_workload("Deployment", injected)))

    [container] = find_pod(yaml.safe_load(result.stdout))["spec"]["containers"]
    assert (result.code, container["env"]) == (0, [{"name": "LATER", "value": "1"}])


def test_changed_variable_stays_with_a_warning_and_exit_code_1(run: Run) -> None:
    injected = copy.deepcopy(build_case().inject())
    injected["spec"]["containers"][0]["env"][2]["value"] = "us-east-1"

    result = run("uninject", "-f", "-", stdin=yaml.safe_dump(build_workload("Deployment", injected)))

    [container] = find_pod(yaml.safe_load(result.stdout))["spec"]["containers"]
    assert (result.code, container["env"]) == (1, [{"name": "AWS_REGION", "value": "us-east-1"}])
    assert 'warning: Container "app" keeps AWS_REGION, which was changed after the injection.' in result.stderr


def test_pod_without_record_keeps_its_variables_with_a_warning_and_exit_code_1(run: Run) -> None:
    injected = copy.deepcopy(build_case().inject())
    del injected["metadata"]["annotations"]["podrole.io/status"]

    result = run("uninject", "-f", "-", stdin=yaml.safe_dump(build_workload("Deployment", injected)))

    assert result.code == 1
    assert "podrole-" not in result.stdout
    assert len(find_pod(yaml.safe_load(result.stdout))["spec"]["containers"][0]["env"]) == 4
    assert "does not list the variables that podrole added, so none was removed. Remove by hand" in result.stderr
    assert "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in result.stderr


def test_authors_own_regions_stay_without_a_warning(run: Run) -> None:
    own = {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"}
    regions = [{"name": name, "value": CONFIG.region} for name in ("AWS_REGION", "AWS_DEFAULT_REGION")]
    case = build_case(containers=[{"name": "app", "image": "a/b:1", "env": [*regions, own]}])

    restored, stderr = uninject(run, case, case.inject())

    assert restored["spec"]["containers"] == case.pod["spec"]["containers"]
    assert "warning" not in stderr


def test_json_output_has_the_patch(run: Run) -> None:
    workload = build_workload("StatefulSet", build_case().inject())

    result = run("uninject", "-o", "json", "-f", "-", stdin=yaml.safe_dump(workload))

    [entry] = json.loads(result.stdout)
    assert (entry["outcome"], entry["kind"], entry["name"]) == ("Remove", "StatefulSet", "app")
    assert {"op": "remove", "path": "/spec/template/spec/initContainers"} in entry["patch"]


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"podrole.io/mode": "blue"}, id="mode"),
        pytest.param({"podrole.io/mode": "redirect"}, id="mode-as-podrole-sets-it"),
        pytest.param({"podrole.io/version": ""}, id="version-without-a-value"),
        pytest.param({"podrole.io/mode": "env", "podrole.io/version": "9"}, id="both"),
    ],
)
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"Pod"}))
def test_labels_of_a_pod_templates_author_stay(run: Run, kind: str, labels: dict[str, str]) -> None:
    """A selector can use them: the API server rejects a workload whose pod template has other values."""
    case = build_case()
    case.pod["metadata"]["labels"] = labels
    text = yaml.safe_dump(build_workload(kind, case.pod), sort_keys=False)

    injected = run("inject", "-f", "-", stdin=text).stdout
    again = run("inject", "-f", "-", stdin=injected).stdout
    removed = run("uninject", "-f", "-", stdin=again).stdout

    ours = {"podrole.io/mode": "redirect", "podrole.io/version": contract.VERSION}
    assert find_pod(yaml.safe_load(injected))["metadata"]["labels"] == ours | labels
    assert again == injected
    assert removed == text
    assert run("uninject", "-f", "-", stdin=text).stdout == text


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    "kept",
    [
        pytest.param("", id="no-record-of-kept-ones"),
        pytest.param(', "keptLabels": 7', id="record-is-no-list"),
        pytest.param(', "keptLabels": ["podrole.io/inject"]', id="record-of-another"),
    ],
)
def test_labels_of_an_earlier_injection_of_a_pod_template_are_replaced_and_removed(run: Run, kept: str) -> None:
    case = build_case()
    status = f'{{"version": "0.0.1", "mode": "env", "added": {{"containers": {{}}{kept}}}}}'
    case.pod["metadata"]["annotations"]["podrole.io/status"] = status
    case.pod["metadata"]["labels"] = {"podrole.io/mode": "env", "podrole.io/version": "0.0.1"}
    text = yaml.safe_dump(build_workload("Deployment", case.pod))

    injected = find_pod(yaml.safe_load(run("inject", "-f", "-", stdin=text).stdout))
    removed = find_pod(yaml.safe_load(run("uninject", "-f", "-", stdin=text).stdout))

    assert injected["metadata"]["labels"] == {"podrole.io/mode": "redirect", "podrole.io/version": contract.VERSION}
    assert "labels" not in removed["metadata"]
