"""Every role that annotations name is found, with those who use it."""

from typing import Any

import pytest

from injector.errors import ObjectError
from podrole.iam.policies import ChainedRole, TrustRequirements, build_subject
from podrole.iam.usage import Account, ClusterObjects, RoleUsage, find_usage
from tests.unit.podrole.workloads import KINDS, build_workload

BASE = "arn:aws:iam::111122223333:role/"
ACCOUNT = Account(BASE, "eu-west-1")


def build_pod(namespace: str = "team-a", account: str | None = None, **annotations: str) -> dict[str, Any]:
    keys = {f"iam.amazonaws.com/{key.replace('_', '-')}": value for key, value in annotations.items()}
    spec = {"containers": [], **({"serviceAccountName": account} if account else {})}
    return {"metadata": {"name": "app", "namespace": namespace, "annotations": keys}, "spec": spec}


def namespace_with(**annotations: str) -> dict[str, Any]:
    keys = {f"podrole.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a", "annotations": keys}}


def account_with(name: str, annotations: dict[str, str]) -> dict[str, Any]:
    return {"kind": "ServiceAccount", "metadata": {"name": name, "namespace": "team-a", "annotations": annotations}}


def find(*things: dict[str, Any], account: Account = ACCOUNT) -> RoleUsage:
    inventory = ClusterObjects()
    for thing in things:
        inventory.add(thing)
    return find_usage(inventory, account)


def pod(*arguments: str, **annotations: str) -> dict[str, Any]:
    return build_workload("Pod", build_pod(*arguments, **annotations))


def test_an_object_of_another_shape_is_refused() -> None:
    with pytest.raises(ObjectError):
        find({"kind": "Namespace", "metadata": []})


def test_a_role_that_is_none_is_a_problem_that_names_its_place_and_hides_no_other() -> None:
    usage = find(pod(role="a b"), pod("team-b", role="reader"))

    assert [needs.role_arn for needs in usage.needs] == [f"{BASE}reader"]
    [problem] = usage.problems
    assert problem.startswith('annotation iam.amazonaws.com/role of Pod team-a/app is "a b", which is not a valid role')


def test_a_name_without_an_account_is_a_problem() -> None:
    usage = find(pod(role="reader"), account=Account())

    assert usage.needs == ()
    assert "a name without an account" in usage.problems[0]


def test_a_role_of_another_partition_than_the_regions_is_a_problem_and_without_a_region_is_none() -> None:
    thing = pod(role="arn:aws-cn:iam::111122223333:role/reader")

    assert "a role in partition aws-cn" in find(thing).problems[0]
    assert find(thing, account=Account()).needs[0].role_arn == "arn:aws-cn:iam::111122223333:role/reader"


@pytest.mark.parametrize("kind", KINDS)
def test_the_pods_of_every_kind_are_looked_at(kind: str) -> None:
    usage = find(build_workload(kind, build_pod(account="web", role="reader")))

    assert usage == RoleUsage((TrustRequirements(f"{BASE}reader", frozenset([build_subject("team-a", "web")])),), ())


def test_users_of_one_role_come_together_from_everywhere() -> None:
    usage = find(
        pod(role="reader"),
        pod("team-b", "api", role=f"{BASE}reader"),
        account_with("job", {"eks.amazonaws.com/role-arn": f"{BASE}reader"}),
    )

    [needs] = usage.needs
    assert needs.subjects == {
        build_subject("team-a", "default"),
        build_subject("team-b", "api"),
        build_subject("team-a", "job"),
    }


def test_the_nearest_place_that_names_a_role_wins() -> None:
    usage = find(
        namespace_with(default_role="of-namespace"),
        account_with("web", {"iam.amazonaws.com/role": "of-account", "eks.amazonaws.com/role-arn": f"{BASE}irsa"}),
        pod("team-a", "web", role="of-pod"),
        pod("team-a", "web"),
        pod("team-a", "api"),
    )

    web, api = build_subject("team-a", "web"), build_subject("team-a", "api")
    assert {needs.role_arn.removeprefix(BASE): set(needs.subjects) for needs in usage.needs} == {
        "of-account": {web},
        "of-namespace": {api},
        "of-pod": {web},
    }


def test_a_default_role_that_no_pod_has_yet_is_for_the_default_account() -> None:
    usage = find(namespace_with(default_role="reader"), account_with("web", {}))

    assert usage.needs == (TrustRequirements(f"{BASE}reader", frozenset([build_subject("team-a", "default")])),)


def test_a_role_that_is_assumed_through_another_trusts_that_one_alone() -> None:
    usage = find(
        namespace_with(intermediate_role=f"{BASE}hop"),
        pod("team-a", "web", role="arn:aws:iam::444455556666:role/far", external_id="x"),
    )

    assert usage.needs == (
        TrustRequirements(f"{BASE}hop", frozenset([build_subject("team-a", "web")])),
        TrustRequirements(
            "arn:aws:iam::444455556666:role/far", frozenset(), frozenset([ChainedRole(f"{BASE}hop", "x")])
        ),
    )


def test_session_tags_need_a_right_of_their_own() -> None:
    thing = pod("team-a", "web", role="far")
    thing["metadata"]["annotations"]["podrole.io/session-tags"] = "a=b"

    usage = find(namespace_with(intermediate_role="hop"), thing)

    assert usage.needs[0].chained_roles == {ChainedRole(f"{BASE}hop", None, has_tags=True)}


def test_a_bad_role_to_go_through_is_a_problem() -> None:
    usage = find(namespace_with(intermediate_role="a b"), pod(role="far"))

    assert usage.needs == ()
    assert "annotation podrole.io/intermediate-role of namespace team-a" in usage.problems[0]


def test_pods_without_a_role_need_nothing() -> None:
    assert find(pod(), namespace_with(), account_with("web", {})) == RoleUsage((), ())
