"""Owners of pods: where they are in the API, and which labels their pods have."""

from typing import Any

import pytest

from podrole.check import parse_target
from podrole.cluster.owners import TargetError, find_path, find_selector, is_owner, read_kind
from podrole.cluster.workloads import Target

SELECTOR = {"matchLabels": {"app": "web"}}


class Cluster:
    """An API server with Argo Rollouts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_or_none(self, path: str) -> Any:
        self.asked.append(path)
        groups = [{"name": "argoproj.io", "versions": [{"groupVersion": "argoproj.io/v1alpha1"}]}]
        return {
            "/apis": {"groups": groups},
            "/apis/argoproj.io/v1alpha1": {"resources": [{"name": "rollouts", "kind": "Rollout"}]},
        }.get(path)


@pytest.mark.parametrize(
    "name", ["", "pod", "service.example.com", "rollouts", "rollout.apps", "podtemplate", "service"]
)
def test_other_names_are_no_owners(name: str) -> None:
    assert not is_owner(name)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        pytest.param("Deployments", "deployment", id="plural"),
        pytest.param("deploy", "deployment", id="short"),
        pytest.param("cj", "cronjob", id="short-cron-job"),
        pytest.param("PODS", "pod", id="pods"),
        pytest.param("rollouts", "rollouts", id="custom-plural-is-unknown"),
        pytest.param("CloneSet.apps.kruise.io", "cloneset.apps.kruise.io", id="custom"),
    ],
)
def test_kind_is_read_as_kubectl_has_it(written: str, kind: str) -> None:
    assert read_kind(written) == kind


def test_selector_of_a_replication_controller_has_no_match_labels() -> None:
    owner = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}}}

    assert find_selector(owner, "replicationcontroller") == "app in (web)"


def test_owner_without_a_selector_is_an_error() -> None:
    with pytest.raises(TargetError, match="ray has no selector of its pods: name one of them"):
        find_selector({"metadata": {"name": "ray"}, "spec": {}}, "rayservice")


def test_kind_that_the_cluster_does_not_have_has_no_path() -> None:
    assert find_path(Cluster(), "team-a", "cloneset") is None


@pytest.mark.parametrize("name", ["rollout", "rollout.argoproj.io"])
def test_path_of_a_custom_kind_is_asked_from_the_cluster(name: str) -> None:
    assert find_path(Cluster(), "team-a", name) == "/apis/argoproj.io/v1alpha1/namespaces/team-a/rollouts"


def test_path_of_a_kind_of_kubernetes_is_known() -> None:
    cluster = Cluster()

    assert find_path(cluster, "team-a", "statefulset") == "/apis/apps/v1/namespaces/team-a/statefulsets"
    assert cluster.asked == []


@pytest.mark.parametrize(
    ("name", "selector"),
    [
        pytest.param("deployment", "app in (web)", id="selector"),
        pytest.param("rollout", "app in (web)", id="selector-of-a-custom-kind"),
        pytest.param("statefulset.apps.kruise.io", "app in (web)", id="kind-with-a-name-of-kubernetes"),
        pytest.param("scaledjob", "scaledjob.keda.sh/name=web", id="label"),
        pytest.param("service.serving.knative.dev", "serving.knative.dev/service=web", id="label-of-knative"),
    ],
)
def test_pods_are_selected(name: str, selector: str) -> None:
    assert find_selector({"metadata": {"name": "web"}, "spec": {"selector": SELECTOR}}, name) == selector


def test_custom_kind_is_a_target() -> None:
    assert parse_target("rollout/web", "team-a") == Target("team-a", "rollout", "web")
    assert parse_target("team-a/CloneSet.apps.kruise.io/web", None) == Target(
        "team-a", "cloneset.apps.kruise.io", "web"
    )
