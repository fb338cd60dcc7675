"""The estate as it was committed, before anybody mends it: every command that reads all of it names its mistakes."""

import json
from typing import Any

import pytest

from testing.cases import ENVIRON
from testing.estate import NAMESPACES, WRONG, build_estate
from tests.integration.estate.installation import EstateCluster

BASE = f"arn:aws:iam::{ENVIRON['PODROLE_ACCOUNT_ID']}:role/"


@pytest.fixture(scope="module")
def plan(estate: EstateCluster) -> Any:
    """The plan of all namespaces."""
    return json.loads(estate.run("podrole plan -A -o json").stdout)


def test_plan_has_every_workload_of_the_estate(plan: Any) -> None:
    planned = {(each["namespace"], each["kind"], each["name"]) for each in plan["workloads"]}
    others = {"Namespace", "ServiceAccount", "LimitRange", "ResourceQuota"}

    expected = {
        (each["metadata"]["namespace"], each["kind"], each["metadata"]["name"])
        for each in build_estate()
        if each["kind"] not in others and each["metadata"]["namespace"] in NAMESPACES
    }
    assert planned == expected


@pytest.mark.parametrize("name", sorted(WRONG))
def test_plan_names_the_mistake(plan: Any, name: str) -> None:
    wrong = WRONG[name]
    kind, _, workload = wrong.name.partition("/")
    if kind == "Namespace":
        [found] = [each for each in plan["namespaces"] if each["name"] == wrong.namespace]
    else:
        [found] = [each for each in plan["workloads"] if (each["kind"], each["name"]) == (kind, workload)]

    assert wrong.words in "\n".join(finding["text"] for finding in found["findings"])


def test_plan_does_not_say_that_there_are_no_problems(estate: EstateCluster) -> None:
    result = estate.run("podrole plan -A")

    assert result.exit_code == 1
    assert "0 problems" not in result.stdout.replace("10 problems", "")


def test_trust_policy_of_another_team_s_role_leaves_out_the_suspended_cron_job(estate: EstateCluster) -> None:
    result = estate.run("podrole trust-policy --all --include-unlabelled -o json")

    roles = {each["role"].removeprefix(BASE): each["subjects"] for each in json.loads(result.stdout)["roles"]}
    assert roles["shop-reader"] == ["system:serviceaccount:shop:default"]
    assert "denies its role to CronJob tools/report" in result.stdout


def test_trust_policies_are_only_for_roles_that_some_pod_gets(estate: EstateCluster) -> None:
    """The roles of denied pods are in no policy."""
    result = estate.run("podrole trust-policy --all --include-unlabelled -o json")
    planned = json.loads(estate.run("podrole plan -A -o json").stdout)["workloads"]

    roles = {each["role"] for each in json.loads(result.stdout)["roles"] if each["subjects"]}
    assert roles == {each["then"]["role"] for each in planned if each["then"]["role"]}


def test_preflight_names_the_label_and_the_agents(estate: EstateCluster) -> None:
    result = estate.run("podrole preflight")

    assert 'podrole.io/injection: "true"' in result.stdout
    assert "kube-system/kube2iam" in result.stdout
    assert "kube-system/kiam-agent" in result.stdout
