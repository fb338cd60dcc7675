"""Pod templates are found in every workload kind, and in nothing else."""

from typing import Any

import pytest

from injector.errors import ObjectError
from injector.k8s.workloads import find_templates
from tests.unit.podrole.workloads import KINDS, build_workload

POD = {"metadata": {"namespace": "team-a", "labels": {"app": "a"}}, "spec": {"containers": []}}


def find_paths(document: Any) -> list[tuple[str, str, str | None, tuple[str | int, ...], tuple[str | int, ...]]]:
    return [(t.kind, t.name, t.namespace, t.object_path, t.template_path) for t in find_templates(document)]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (None, "Deployment app has no spec: it must be an object"),
        ({}, "Deployment app has no spec.template: it must be an object"),
        ({"template": []}, "Deployment app has no spec.template: it must be an object"),
    ],
    ids=["no-spec", "no-template", "list-as-template"],
)
def test_workload_without_a_template_is_an_error_with_its_name(spec: Any, problem: str) -> None:
    with pytest.raises(ObjectError, match=problem):
        list(find_templates({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": spec}))


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "Pod",
        {},
        {"kind": "Pod"} | {"apiVersion": "example.com/v1", "spec": {}},
        {"apiVersion": "example.com/v1", "kind": "Job", "spec": {"template": POD}},
        {"apiVersion": "example.com/v1", "kind": "Service", "spec": {"template": POD}},
        {"apiVersion": "v1", "kind": "Service", "spec": {}},
        {"apiVersion": "v1", "kind": "List", "items": None},
        {"apiVersion": "v1", "kind": "List", "items": [None, "x"]},
    ],
    ids=[
        "null",
        "json-list",
        "string",
        "no-kind",
        "pod-of-another-group",
        "job-of-another-group",
        "service-of-another-group",
        "service",
        "list-without-items",
        "list-of-other-values",
    ],
)
def test_other_documents_have_no_templates(document: Any) -> None:
    assert find_paths(document) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_workload_kind_has_a_template(kind: str) -> None:
    [template] = find_templates(build_workload(kind, POD))

    assert template.kind == kind
    assert template.namespace == "team-a"
    assert template.pod["spec"] == {"containers": []}


def test_templates_are_found_in_nested_lists() -> None:
    inner = {"apiVersion": "v1", "kind": "List", "items": [build_workload("CronJob", POD)]}
    document = {"apiVersion": "v1", "kind": "List", "items": [{"kind": "Service"}, inner]}

    assert find_paths(document) == [
        ("CronJob", "app", "team-a", ("items", 1, "items", 0), ("spec", "jobTemplate", "spec", "template"))
    ]


def test_items_of_a_typed_list_get_its_kind() -> None:
    item = build_workload("Deployment", POD)
    document = {
        "apiVersion": "apps/v1",
        "kind": "DeploymentList",
        "items": [{k: item[k] for k in ("metadata", "spec")}],
    }

    assert find_paths(document) == [("Deployment", "app", "team-a", ("items", 0), ("spec", "template"))]


def test_generate_name_is_shown_with_an_asterisk() -> None:
    [template] = find_templates({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}, "spec": {}})

    assert template.name == "a-*"
