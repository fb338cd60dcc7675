"""Which collections of custom kinds a cluster has. tests/integration/api_server asks a real one."""

from types import SimpleNamespace
from typing import Any

import pytest

from injector.errors import ObjectError
from injector.k8s.discovery import Collection, find_collections, list_objects
from injector.k8s.workload_kinds import WorkloadKind

KINDS = {
    ("", "Pod"): WorkloadKind(("",)),
    ("apps.example.com", "Web"): WorkloadKind(("spec.template",)),
    ("apps.example.com", "Task"): WorkloadKind(("spec.template",)),
    ("absent.example.com", "Web"): WorkloadKind(("spec.template",)),
}
WEB = {"name": "webs", "kind": "Web"}


class Answers:
    """An API client with answers by path."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def get_or_none(self, path: str) -> Any:
        self.asked.append(path)
        return self.answers.get(path)


def build_groups(*versions: str) -> dict[str, Any]:
    other = {"name": "other.example.com", "versions": [{"groupVersion": "other.example.com/v1"}]}
    return {"groups": [other, {"name": "apps.example.com", "versions": [{"groupVersion": one} for one in versions]}]}


def find(answers: Answers, kinds: Any = KINDS) -> list[Collection]:
    return [*find_collections(answers, kinds)]


@pytest.mark.parametrize("answer", [None, {}, {"groups": None}], ids=["none", "empty", "null"])
def test_cluster_without_groups_has_no_collections(answer: Any) -> None:
    assert find(Answers({"/apis": answer})) == []


def test_answer_of_another_form_is_an_error() -> None:
    with pytest.raises(ObjectError):
        find(Answers({"/apis": {"groups": ["apps.example.com"]}}))


def test_nothing_is_asked_without_custom_kinds() -> None:
    answers = Answers({})

    assert (find(answers, {("", "Pod"): WorkloadKind(("",))}), answers.asked) == ([], [])


def test_kinds_are_found_in_the_first_version_that_has_them() -> None:
    status = {"name": "webs/status", "kind": "Web"}
    answers = Answers(
        {
            "/apis": build_groups("apps.example.com/v2", "apps.example.com/v1"),
            "/apis/apps.example.com/v2": {"resources": [status, WEB, {"name": "others", "kind": "Other"}]},
            "/apis/apps.example.com/v1": {"resources": [WEB, {"name": "tasks", "kind": "Task"}]},
        }
    )

    assert find(answers) == [
        Collection("Web", "apps.example.com/v2", "/apis/apps.example.com/v2/webs"),
        Collection("Task", "apps.example.com/v1", "/apis/apps.example.com/v1/tasks"),
    ]
    assert "/apis/other.example.com/v1" not in answers.asked


def test_versions_are_not_read_after_all_kinds_are_found() -> None:
    resources = {"resources": [WEB, {"name": "tasks", "kind": "Task"}]}
    answers = Answers({"/apis": build_groups("apps.example.com/v2", "apps.example.com/v1")})
    answers.answers["/apis/apps.example.com/v2"] = resources

    assert len(find(answers)) == 2
    assert answers.asked == ["/apis", "/apis/apps.example.com/v2"]


@pytest.mark.parametrize(
    ("owner", "replicas", "is_listed"),
    [
        pytest.param(None, 1, True, id="no-owner"),
        pytest.param("Deployment", 1, False, id="deployment"),
        pytest.param("Rollout", 1, False, id="custom-kind-of-the-table"),
        pytest.param("Canary", 1, True, id="unknown-kind"),
        pytest.param("Canary", 0, False, id="unknown-kind-without-pods"),
    ],
)
def test_replica_set_is_left_out_only_where_its_owner_is_read(
    owner: str | None, replicas: int, *, is_listed: bool
) -> None:
    """Otherwise nothing would say why its pods are missing."""
    references = [{"kind": owner, "name": "web", "controller": True}] if owner else []
    item = {"metadata": {"name": "web-1", "ownerReferences": references}, "spec": {"replicas": replicas}}
    client: Any = SimpleNamespace(iterate=lambda _: [item])
    replica_sets = Collection("ReplicaSet", "apps/v1", "/apis/apps/v1/replicasets")

    assert bool([*list_objects(client, replica_sets, with_status=True)]) is is_listed
