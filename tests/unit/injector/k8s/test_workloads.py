"""Pods are found in whatever holds them, and in nothing else."""

from typing import Any

import pytest

from injector.errors import ObjectError
from injector.k8s.workloads import find_templates
from tests.unit.podrole.workloads import KINDS, build_workload

POD = {"metadata": {"namespace": "team-a", "labels": {"app": "a"}}, "spec": {"containers": []}}


def places_of(document: Any) -> list[tuple[str, str, str | None, tuple[str | int, ...], tuple[str | int, ...]]]:
    return [(t.kind, t.name, t.namespace, t.place, t.path) for t in find_templates(document)]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (None, "Deployment app has no spec: it must be an object"),
        ({}, "Deployment app has no spec.template: it must be an object"),
        ({"template": []}, "Deployment app has no spec.template: it must be an object"),
    ],
)
def test_a_workload_without_a_template_is_named(spec: Any, problem: str) -> None:
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
        {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "spec": {"tasks": []}},
        {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "spec": {"template": POD}},
        {"apiVersion": "v1", "kind": "Service", "spec": {}},
        {"apiVersion": "v1", "kind": "List", "items": None},
        {"apiVersion": "v1", "kind": "List", "items": [None, "x"]},
    ],
)
def test_what_has_no_pods_or_is_not_known_has_no_templates(document: Any) -> None:
    assert places_of(document) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_makes_pods_is_known(kind: str) -> None:
    [template] = find_templates(build_workload(kind, POD))

    assert template.kind == kind
    assert template.namespace == "team-a"
    assert template.pod["spec"] == {"containers": []}


def test_lists_and_lists_in_lists_are_looked_into() -> None:
    inner = {"apiVersion": "v1", "kind": "List", "items": [build_workload("CronJob", POD)]}
    document = {"apiVersion": "v1", "kind": "List", "items": [{"kind": "Service"}, inner]}

    assert places_of(document) == [
        ("CronJob", "app", "team-a", ("items", 1, "items", 0), ("spec", "jobTemplate", "spec", "template"))
    ]


def test_items_of_a_typed_list_have_its_kind() -> None:
    item = build_workload("Deployment", POD)
    document = {
        "apiVersion": "apps/v1",
        "kind": "DeploymentList",
        "items": [{k: item[k] for k in ("metadata", "spec")}],
    }

    assert places_of(document) == [("Deployment", "app", "team-a", ("items", 0), ("spec", "template"))]


def test_an_object_with_a_generated_name_is_named_by_what_it_begins_with() -> None:
    [template] = find_templates({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}, "spec": {}})

    assert template.name == "a-*"
