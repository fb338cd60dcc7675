"""`podrole uninject`: what was put in comes out, and what cannot be told apart is said."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from injector.patch.app_env import NO_PROXY_VALUE
from tests.unit.injector.cases import CONFIG, Case, build_case, load_injectable_cases
from tests.unit.injector.generated_pods import normalize
from tests.unit.podrole.conftest import Run
from tests.unit.podrole.test_inject import DEPLOYMENT, SERVICE
from tests.unit.podrole.workloads import KINDS, build_workload, find_pod

CASES = {name: case for name, case in load_injectable_cases().items() if name != "forged"}
CONFIGS = {
    "redirect": CONFIG,
    "elsewhere": replace(CONFIG, region="ap-south-1", aws_endpoint_url="https://store.example", sidecar_image="x/y:9"),
    "env": replace(CONFIG, mode="env"),
    "ipv6-only": replace(CONFIG, ipv6_only=True, redirect_backend="iptables"),
}


def uninject(run: Run, case: Case, pod: Any, kind: str = "Pod") -> tuple[Any, str]:
    said = run("uninject", "-f", "-", stdin=yaml.safe_dump(build_workload(kind, pod)))
    assert case.pod is not pod
    return find_pod(yaml.safe_load(said.output)), said.complaint


def test_broken_input_is_named(run: Run) -> None:
    said = run("uninject", "-f", "-", stdin="apiVersion: v1\nkind: Pod\nspec: {initContainers: [1]}")

    assert (said.code, said.output) == (2, "")
    assert "document 1: initContainers must be a list of objects" in said.complaint


def test_what_was_never_injected_comes_out_letter_by_letter(run: Run) -> None:
    text = f"{SERVICE}---\n{DEPLOYMENT}"

    said = run("uninject", "-f", "-", stdin=text)

    assert (said.code, said.output) == (0, text)
    assert "Deployment default/shop\n  Skip: There is nothing of podrole's in it." in said.complaint


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("text", [DEPLOYMENT, DEPLOYMENT.replace("\n", "\r\n"), f"{SERVICE}---\n{DEPLOYMENT}---\n"])
def test_there_and_back_is_the_same_letter_by_letter(run: Run, text: str) -> None:
    injected = run("inject", "-f", "-", stdin=text.encode())

    said = run("uninject", "-f", "-", stdin=injected.output.encode())

    assert "podrole-sidecar" in injected.output
    assert (said.code, said.output) == (0, text)
    assert "Remove: What podrole put in was taken out." in said.complaint


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", CASES)
def test_an_injected_pod_can_be_had_back_whatever_injected_it(run: Run, name: str, config: str) -> None:
    case = CASES[name]
    if type(case.decide(CONFIGS[config])).__name__ not in {"Inject", "Block"}:
        return

    taken, complaint = uninject(run, case, case.inject(CONFIGS[config]))

    assert normalize(taken["spec"]) == normalize(case.pod["spec"])
    assert normalize(taken["metadata"]) == normalize(case.pod["metadata"])
    assert "Remove" in complaint


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back(run: Run, kind: str) -> None:
    workload = build_workload(kind, build_case().pod)

    injected = run("inject", "-f", "-", stdin=yaml.safe_dump(workload))
    said = run("uninject", "-f", "-", stdin=injected.output)

    assert injected.output.count("name: podrole-sidecar") == 1
    assert yaml.safe_load(said.output) == workload


@pytest.mark.usefixtures("settings")
def test_a_job_without_labels_has_no_metadata_again(run: Run) -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}}
    job["spec"] = {"template": {"spec": {"containers": [{"name": "app", "image": "a/b:1"}]}}}

    injected = run("inject", "-f", "-", stdin=json.dumps(job))
    said = run("uninject", "-f", "-", stdin=injected.output)

    assert "metadata" in json.loads(injected.output)["spec"]["template"]
    assert json.loads(said.output) == job


@pytest.mark.parametrize(
    ("append", "kept"),
    [
        ([{"name": "LATER", "value": "1"}], "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, AWS_REGION, AWS_DEFAULT_REGION"),
        (
            [{"name": "no_proxy", "value": f"a,{NO_PROXY_VALUE},b"}],
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, no_proxy, AWS_",
        ),
    ],
)
def test_what_another_webhook_hides_stays_and_is_said(run: Run, append: list[dict[str, str]], kept: str) -> None:
    injected = copy.deepcopy(build_case().inject())
    injected["spec"]["containers"][0]["env"] += append

    said = run("uninject", "-f", "-", stdin=yaml.safe_dump(build_workload("Deployment", injected)))

    assert said.code == 1
    assert "podrole-sidecar" not in said.output
    assert f'warning: Container "app" keeps {kept}' in said.complaint


def test_regions_of_the_authors_own_are_said_where_they_may_be_ours(run: Run) -> None:
    own = {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"}
    regions = [{"name": name, "value": CONFIG.region} for name in ("AWS_REGION", "AWS_DEFAULT_REGION")]
    case = build_case(containers=[{"name": "app", "image": "a/b:1", "env": [*regions, own]}])

    taken, complaint = uninject(run, case, case.inject())

    assert taken["spec"]["containers"] == case.pod["spec"]["containers"]
    assert 'Container "app" keeps AWS_REGION, AWS_DEFAULT_REGION: podrole may have added that' in complaint


def test_a_program_gets_the_patch(run: Run) -> None:
    workload = build_workload("StatefulSet", build_case().inject())

    said = run("uninject", "-o", "json", "-f", "-", stdin=yaml.safe_dump(workload))

    [record] = json.loads(said.output)
    assert (record["outcome"], record["kind"], record["name"]) == ("Remove", "StatefulSet", "app")
    assert {"op": "remove", "path": "/spec/template/spec/initContainers"} in record["patch"]
