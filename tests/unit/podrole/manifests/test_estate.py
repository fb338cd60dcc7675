"""Manifests as an estate."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from podrole.manifests.estate import add_manifests
from podrole.planning.estate import PlanEstate
from tests.unit.podrole.planning.objects import account, namespace, pod, template, workload


def read(directory: Path, *objects: dict[str, Any]) -> PlanEstate:
    file, estate = directory / "all.yaml", PlanEstate()
    file.write_text(yaml.safe_dump_all(objects))
    add_manifests(estate, [str(file)])
    return estate


@pytest.mark.parametrize("is_same", [True, False], ids=["same", "changed"])
@pytest.mark.parametrize(
    "thing",
    [
        pytest.param(workload(), id="Deployment"),
        pytest.param(workload("CronJob"), id="CronJob"),
        pytest.param(pod("web"), id="Pod"),
        pytest.param(account(), id="ServiceAccount"),
        pytest.param(
            {
                "apiVersion": "example.com/v1",
                "kind": "Runner",
                "metadata": {"name": "web", "namespace": "shop"},
                "spec": {"template": template()},
            },
            id="unknown-kind",
        ),
        pytest.param(
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "team", "namespace": "shop"},
                "spec": {"hard": {"limits.cpu": "1"}},
            },
            id="ResourceQuota",
        ),
        pytest.param(
            {
                "apiVersion": "v1",
                "kind": "LimitRange",
                "metadata": {"name": "limits", "namespace": "shop"},
                "spec": {"limits": [{"type": "Container", "max": {"memory": "1Mi"}}]},
            },
            id="LimitRange",
        ),
    ],
)
def test_object_that_manifests_have_twice_is_read_once(tmp_path: Path, thing: dict[str, Any], *, is_same: bool) -> None:
    """kubectl applies them in order, so the last one counts."""
    others = [namespace(), workload("StatefulSet", template("writer"), "db")]
    annotations = {} if is_same else {"iam.amazonaws.com/role": "earlier"}
    first = {**thing, "metadata": {**thing["metadata"], "annotations": annotations}}

    twice, once = (read(tmp_path, *others, *those) for those in ((first, thing), (thing,)))

    assert twice == once


def test_objects_without_a_name_are_all_read(tmp_path: Path) -> None:
    """`kubectl create` gives each its own: metadata.generateName."""
    job = workload("Job")
    job["metadata"] = {"generateName": "run-", "namespace": "shop"}

    assert len(read(tmp_path, job, job).workloads) == 2
