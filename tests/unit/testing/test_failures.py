"""The failures of testing/estate/failures.yaml."""

import re

import pytest

from testing.estate import NAMESPACES, build_namespace
from testing.estate.failures import Failure, load_failures, main
from testing.findings import list_codes

FAILURES = load_failures()
CODES = list_codes()


@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: each.name)
def test_failure_has_a_target_of_the_estate_and_a_code_that_exists(failure: Failure) -> None:
    namespace, kind, name = failure.target.split("/")

    objects = {(each["kind"].lower(), each["metadata"]["name"]) for each in build_namespace(namespace)}
    assert namespace in NAMESPACES
    assert (kind, name) in objects
    assert failure.code in CODES


def test_names_of_the_documentation_become_those_of_the_target() -> None:
    failure = Failure("x", "shop/cronjob/prices", "Code", "words", "kubectl -n team-a get deployment/web", role="buyer")

    assert failure.list_lines("kubectl -n team-a get deployment/web # reader") == [
        "kubectl -n shop get cronjob/prices # buyer"
    ]


def test_table_has_a_row_for_each_failure(capsys: pytest.CaptureFixture[str]) -> None:
    main()

    rows = capsys.readouterr().out.splitlines()[2:]
    assert [re.split(r" \| ", row)[0].removeprefix("| ") for row in rows] == [each.name for each in FAILURES]
