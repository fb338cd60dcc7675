"""Existing trust policies, compared with what a plan gives to pods."""

import json
from typing import Any

import pytest

from podrole.iam.policies import TrustRequirements, build_subject, build_trust_policy
from podrole.iam.policy_files import PolicyFile, parse_policy_files
from podrole.planning.estate import PlanEstate
from podrole.planning.plan import build_plan
from podrole.planning.pod_plans import Settings
from podrole.planning.trust import KnownTrust
from testing.cases import CONFIG
from tests.unit.podrole.planning.objects import TEMPLATE, account, namespace, template, workload

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"
READER = "arn:aws:iam::111122223333:role/reader"
NODES = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def trusts(*subjects: str, issuer: str = ISSUER) -> dict[str, Any]:
    found = frozenset(build_subject(*one.split(":")) for one in subjects)
    return build_trust_policy(TrustRequirements(READER, found), issuer)


def list_codes(
    policies: dict[str, Any], role: str = "reader", annotations: dict[str, str] | None = None
) -> list[tuple[str, str]]:
    """Codes and levels of the findings about a Deployment with this role."""
    files = [PolicyFile(f"{name}.json", json.dumps(policy)) for name, policy in policies.items()]
    settings = Settings(CONFIG, TEMPLATE, trust=KnownTrust(parse_policy_files(files), ISSUER))
    estate = PlanEstate(is_complete=True)
    for one in (namespace(annotations=annotations), account(), workload(pod=template(role))):
        estate.add(one)
    (row,) = build_plan(estate, settings).rows
    return [(finding.code, str(finding.level)) for finding in row.findings]


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        pytest.param({"reader": trusts("shop:default")}, [], id="trusts it"),
        pytest.param({"reader": trusts("shop:*")}, [], id="trusts the namespace"),
        pytest.param({"reader": trusts("shop:other")}, [("TrustMissing", "problem")], id="trusts another account"),
        pytest.param(
            {"reader": trusts("shop:default", issuer="a.example")},
            [("TrustMissing", "problem")],
            id="another cluster",
        ),
        pytest.param({"reader": NODES}, [("TrustMissing", "problem")], id="trusts the nodes"),
        pytest.param({"writer": trusts("shop:default")}, [("TrustUnknown", "unknown")], id="not among them"),
    ],
)
def test_role_that_does_not_trust_the_pods_has_a_finding(
    policies: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert list_codes(policies) == expected


def test_policy_of_the_intermediate_role_is_checked_where_the_namespace_has_one() -> None:
    policies = {"reader": NODES, "first": trusts("shop:default")}

    assert list_codes(policies, annotations={"podrole.io/intermediate-role": "first"}) == []


def test_workload_without_a_role_needs_no_policy() -> None:
    assert list_codes({"reader": NODES}, role="") == []


def test_remedy_is_a_command_for_this_role_and_account() -> None:
    files = [PolicyFile("reader.json", json.dumps(NODES))]
    settings = Settings(CONFIG, TEMPLATE, trust=KnownTrust(parse_policy_files(files), ISSUER))
    estate = PlanEstate(is_complete=True)
    for one in (namespace(), account(), workload()):
        estate.add(one)

    (finding,) = build_plan(estate, settings).rows[0].findings

    assert finding.remedy == f"podrole trust-policy {READER} --namespace shop --service-account default --merge FILE"
