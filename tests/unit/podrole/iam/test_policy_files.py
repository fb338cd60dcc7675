"""Existing trust policies: what the AWS CLI printed, and plain policies named by role."""

import json
from typing import Any

import pytest

from podrole.iam import policy_files
from podrole.iam.policy_files import ExistingPolicies, PolicyFile, parse_policy_files
from testing.hostile_text import STORED, find_unprintable

ROLE = "arn:aws:iam::111122223333:role/team/reader"
OTHER = "arn:aws:iam::444455556666:role/reader"


def build_policy(service: str = "ec2") -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def build_role(arn: Any = ROLE, service: str = "ec2") -> dict[str, Any]:
    return {"RoleName": "reader", "Arn": arn, "AssumeRolePolicyDocument": build_policy(service)}


def parse(**files: Any) -> ExistingPolicies:
    """Parse files by name; `__` stands for a slash."""
    texts = {name: text if isinstance(text, str) else json.dumps(text) for name, text in files.items()}
    return parse_policy_files(PolicyFile(f"{name.replace('__', '/')}.json", text) for name, text in texts.items())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("", "the file is empty: the command that wrote it failed", id="empty"),
        pytest.param(" \n", "the file is empty", id="only-white-space"),
        pytest.param("{", "not valid JSON", id="not-json"),
        pytest.param("[" * 100_000, "nested too deeply", id="nested-too-deeply"),
        pytest.param([], "it has no Statement", id="list"),
        pytest.param({"Roles": 1}, "it has no Statement", id="roles-are-no-list"),
        pytest.param({"Roles": [None]}, "it has no Statement", id="role-is-null"),
        pytest.param({"Roles": [build_policy()]}, "a role of the list has no Arn", id="list-without-arns"),
        pytest.param(build_role(arn="reader"), "'reader' is not a valid ARN of a role", id="arn-is-a-name"),
        pytest.param(build_role(arn=[ROLE]), "is not a valid ARN of a role", id="arn-is-a-list"),
        pytest.param({"Statement": [{"Sid": "x" * 70_000}]}, "has more than 65536 characters", id="long-policy"),
        pytest.param({"Statement": ["x"]}, "must be a list of objects", id="statements-are-strings"),
    ],
)
def test_file_without_a_policy_is_a_problem_and_others_are_parsed(content: Any, problem: str) -> None:
    found = parse(bad=content, good=build_role())

    [text] = found.problems
    assert text.startswith("bad.json: ")
    assert problem in text
    assert found.find(ROLE) is not None


def test_two_policies_of_one_role_are_a_problem() -> None:
    found = parse(a=build_role(), b=build_role(service="eks"), c=build_role())

    assert found.problems == (f"b.json: has another policy of {ROLE} than a.json",)


def test_names_and_values_of_files_are_shown_as_printable_text() -> None:
    found = parse_policy_files([PolicyFile(STORED, json.dumps(build_role(arn=STORED)))])

    assert find_unprintable(found.problems[0]) == ""
    assert "\n" not in found.problems[0]


def test_number_of_roles_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_files, "MAX_ROLES", 2)

    found = parse(**{f"r{number}": build_policy() for number in range(4)})

    assert len(found.by_name) == 3
    assert found.problems == ("r2.json: there are more than 2 roles; others were not read",)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"Role": build_role()}, id="get-role"),
        pytest.param({"Roles": [build_role(OTHER, "eks"), build_role()]}, id="list-roles"),
        pytest.param({"RoleDetailList": [build_role()]}, id="get-account-authorization-details"),
        pytest.param(build_role(), id="role"),
    ],
)
def test_role_is_found_by_its_arn_in_every_output_of_the_aws_cli(content: Any) -> None:
    found = parse(any=content).find(ROLE)

    assert found is not None
    assert (found.role_arn, found.policy, found.file) == (ROLE, build_policy(), "any.json")


def test_plain_policy_is_that_of_the_role_with_the_name_of_the_file() -> None:
    found = parse(reader=build_policy(), writer=build_policy("eks"))

    assert [found.find(arn) == found.by_name[None, "reader"] for arn in (ROLE, OTHER)] == [True, True]
    assert found.find(f"{ROLE}s") is None


def test_plain_policy_in_the_directory_of_an_account_is_for_that_account_only() -> None:
    found = parse(**{"111122223333__reader": build_policy()})

    assert found.find(ROLE) is not None
    assert found.find(OTHER) is None


def test_arn_in_a_file_takes_precedence_over_the_name_of_another() -> None:
    found = parse(reader=build_policy("eks"), all={"Roles": [build_role()]})

    of_arn, of_name = found.find(ROLE), found.find(OTHER)
    assert of_arn is not None
    assert of_name is not None
    assert (of_arn.file, of_name.file) == ("all.json", "reader.json")


def test_role_with_another_path_is_a_namesake() -> None:
    found = parse(all={"Roles": [build_role()]})

    assert found.find("arn:aws:iam::111122223333:role/reader") is None
    assert found.find_namesake("arn:aws:iam::111122223333:role/Reader") == ROLE
    assert [found.find_namesake(arn) for arn in (ROLE, OTHER)] == [None, None]
