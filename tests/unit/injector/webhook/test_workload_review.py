import json
from typing import Any

import pytest

from injector.errors import ReviewError
from injector.webhook.workload_review import TEMPLATE_PATHS, parse_workload_review
from tests.unit.injector.webhook.workload_reviews import (
    PLAIN_TEMPLATE,
    ROLE,
    build_review,
    build_workload,
    with_annotations,
)

KINDS = [kind for _, kind in TEMPLATE_PATHS]
WORKLOAD = build_workload(PLAIN_TEMPLATE)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"{}", "kind is null", id="no-review"),
        pytest.param(build_review(WORKLOAD, uid=None), "no uid", id="null-uid"),
        pytest.param(build_review(WORKLOAD, kind="Deployment", namespace=None), "without a namespace", id="cluster"),
        pytest.param(build_review(WORKLOAD, namespace="a/b"), "without a namespace", id="slash-in-the-namespace"),
        pytest.param(build_review(None), "object is a NoneType", id="null-object"),
        pytest.param(build_review([]), "object is a list", id="list-as-object"),
        pytest.param(build_review({}), "no spec", id="no-template"),
        pytest.param(build_review({"spec": {"template": []}}), "template is of type list", id="list-as-template"),
        pytest.param(build_review({"spec": {"template": {"spec": "x"}}}), "no spec", id="string-as-spec"),
        pytest.param(build_review(WORKLOAD, old=["x"]), "oldObject is of type list", id="list-as-old-object"),
        pytest.param(build_review(WORKLOAD, old={"metadata": {"labels": 1}, "spec": WORKLOAD["spec"]}),
            "labels is of type int", id="number-as-old-labels"),
        pytest.param(build_review({**WORKLOAD, "metadata": "x"}), "metadata is of type str", id="string-as-metadata"),
        pytest.param(
            build_review(build_workload({"spec": {"serviceAccountName": "../a"}})), "not a valid name", id="account"
        ),
    ],
)  # fmt: skip
def test_invalid_review_is_rejected_with_a_message(body: bytes, message: str) -> None:
    with pytest.raises(ReviewError) as caught:
        parse_workload_review(body)

    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("kind", KINDS)
def test_template_of_each_kind_is_found(kind: str) -> None:
    template = {"metadata": {"annotations": ROLE}, "spec": {"serviceAccountName": "web", "containers": []}}

    review = parse_workload_review(build_review(build_workload(template, kind), kind=kind))

    assert (review.kind, review.name, review.namespace, review.service_account) == (kind, "web", "team-a", "web")
    assert review.pod == {"metadata": {"annotations": ROLE, "namespace": "team-a"}, "spec": template["spec"]}
    assert review.is_template_changed


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"kind": {"group": "", "kind": "Pod"}}, id="pod"),
        pytest.param({"kind": {"group": "", "kind": "PodTemplate"}}, id="pod-template"),
        pytest.param({"kind": {"group": "argoproj.io", "kind": "Rollout"}}, id="custom-kind"),
        pytest.param({"kind": {"group": "example.com", "kind": "Deployment"}}, id="other-group"),
        pytest.param({"kind": {"group": [], "kind": {}}}, id="invalid-kind"),
        pytest.param({"kind": None}, id="null-kind"),
        pytest.param({"operation": "DELETE", "object": None}, id="delete"),
        pytest.param({"subResource": "status"}, id="status"),
    ],
)
def test_other_request_has_no_template(fields: dict[str, Any]) -> None:
    sent = json.loads(build_review(WORKLOAD))
    sent["request"] |= fields

    review = parse_workload_review(json.dumps(sent).encode())

    assert (review.kind, review.is_template_changed, review.metadata) == ("", False, {})


@pytest.mark.parametrize("kind", KINDS)
def test_update_of_the_replicas_changes_no_template(kind: str) -> None:
    old = build_workload(PLAIN_TEMPLATE, kind, annotations=ROLE)
    new = build_workload(PLAIN_TEMPLATE, kind, annotations={**ROLE, "example.com/a": "b"})
    new["spec"]["replicas"] = 7

    review = parse_workload_review(build_review(new, old, kind))

    assert not review.is_template_changed
    assert review.metadata == {"labels": {}, "annotations": {"example.com/a": "b"}}


@pytest.mark.parametrize("kind", KINDS)
def test_update_of_the_template_changes_it(kind: str) -> None:
    old = build_workload(PLAIN_TEMPLATE, kind, annotations=ROLE)
    new = build_workload(with_annotations(PLAIN_TEMPLATE, ROLE), kind, annotations=ROLE)

    review = parse_workload_review(build_review(new, old, kind))

    assert review.is_template_changed
    assert review.metadata["annotations"] == ROLE


def test_update_whose_templates_are_nested_too_deeply_is_rejected() -> None:
    """Not by an API server, which knows the fields: anybody who reaches the port."""
    workload = build_workload({**PLAIN_TEMPLATE, "more": "nested"})
    body = build_review(workload, old=workload).replace(b'"nested"', b"[" * 1000 + b"]" * 1000)

    with pytest.raises(ReviewError, match="has a pod template that is nested too deeply"):
        parse_workload_review(body)


def test_name_that_the_api_server_generates_is_shown_as_such() -> None:
    workload = build_workload(PLAIN_TEMPLATE, "Job")
    workload["metadata"] = {"generateName": "work-"}

    assert parse_workload_review(build_review(workload, kind="Job")).name == "work-*"
