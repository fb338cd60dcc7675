"""The whole estate moves to podrole by the lines of its plan; then one command names everything that is wrong."""

import json
from contextlib import suppress
from typing import Any

import pytest

from testing.cluster.api import wait_for
from testing.estate import NAMESPACES, WRONG
from tests.integration.estate.installation import EstateCluster

LATER = {"label-true", "missing-account"}
"""Mistakes that a migration by the plan mends, or that are not podrole's."""

TO_DO = "  to do:"
PODS = 45
"""Most of the estate's: Jobs have ended, and mistakes keep some away."""


@pytest.fixture(scope="module")
def migrated(estate: EstateCluster) -> EstateCluster:
    """The estate after the lines of its plan, and a restart of what the plan says not to restart."""
    wait_for("the pods", lambda: len(find_pods(estate)) >= PODS)
    estate.execute(list_to_do(estate.run("podrole plan -A").stdout))
    for wrong in WRONG.values():
        if wrong.name.startswith(("Deployment/", "DaemonSet/")):
            estate.execute([f"kubectl -n {wrong.namespace} rollout restart {wrong.name.lower()}"])
    return estate


def find_pods(estate: EstateCluster) -> list[Any]:
    """The pods of the estate that run."""
    return [
        pod
        for pod in estate.api.list("Pod")
        if pod["metadata"]["namespace"] in NAMESPACES and pod["status"]["phase"] == "Running"
    ]


def list_to_do(plan: str) -> list[str]:
    """The commands of a plan, without comments, and without those for which somebody must find a manifest."""
    lines, is_command = [], False
    for line in plan.splitlines():
        is_command = line == TO_DO or (is_command and line.startswith("    "))
        if is_command and line.startswith("    kubectl ") and " -f FILE" not in line:
            lines.append(line.strip())
    return lines


def list_findings(estate: EstateCluster) -> dict[str, str]:
    """The findings of `check -A`: KIND NAMESPACE/NAME -> its sentences."""
    document = json.loads(estate.run("podrole check -A -o json").stdout)
    return {each["workload"]: "\n".join(find_texts(each)) for each in document["workloads"]}


def find_texts(document: Any) -> list[str]:
    if isinstance(document, dict):
        return [document["text"]] if "text" in document else find_texts(list(document.values()))
    return [text for each in document for text in find_texts(each)] if isinstance(document, list) else []


@pytest.mark.parametrize("name", sorted(WRONG.keys() - LATER))
def test_check_of_the_cluster_names_the_mistake(migrated: EstateCluster, name: str) -> None:
    wrong = WRONG[name]
    kind, _, workload = wrong.name.lower().partition("/")
    key = f"{kind} {wrong.namespace}/{workload}" if kind != "namespace" else "deployment queue/consumer"

    with suppress(AssertionError):
        wait_for(wrong.mistake, lambda: wrong.words in list_findings(migrated).get(key, ""))
    assert wrong.words in list_findings(migrated).get(key, ""), migrated.run("podrole check -A").output


def test_check_of_the_cluster_has_no_problem_with_what_is_right(migrated: EstateCluster) -> None:
    wrong = {f"{each.name.lower().replace('/', f' {each.namespace}/', 1)}" for each in WRONG.values()}

    result = migrated.run("podrole check -A -o json")

    assert result.exit_code == 1
    for each in json.loads(result.stdout)["workloads"]:
        namespace = each["workload"].partition(" ")[2].partition("/")[0]
        levels = [finding["level"] for finding in each["findings"]]
        assert each["workload"] in wrong or namespace == "queue" or "problem" not in levels, each
