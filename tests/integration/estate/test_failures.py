"""Each failure of the estate is named by one podrole command, and mended by the lines of docs/troubleshooting.md."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from testing.cluster.api import wait_for
from testing.estate.failures import Failure, load_failures
from tests.integration.estate.installation import EstateCluster

NO_PROBLEMS = "0 problems"
FAILURES = [each for each in load_failures() if not each.is_on_node]


def list_findings(document: Any) -> Iterator[dict[str, Any]]:
    """All findings of a JSON output, wherever they are."""
    if isinstance(document, dict):
        if {"level", "code", "text"} <= document.keys():
            yield document
        document = list(document.values())
    if isinstance(document, list):
        for each in document:
            yield from list_findings(each)


def names_cause(cluster: EstateCluster, failure: Failure) -> bool:
    """Whether the last command has a finding with the failure's code and words. A denial has its code in brackets."""
    command = failure.list_lines(failure.command)[-1]
    output = cluster.run(f"{command} --output json").stdout
    found = [
        each
        for each in list_findings(json.loads(output))
        if each["level"] not in {"ok", "note"} and (each["code"] == failure.code or f"[{failure.code}]" in each["text"])
    ]
    return any(failure.says in each["text"] for each in found)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: each.name)
def test_failure_is_named_by_one_command_and_mended_by_the_documented_lines(
    estate: EstateCluster, failure: Failure
) -> None:
    assert not failure.breaks or not names_cause(estate, failure)

    estate.execute(failure.list_lines(failure.breaks))
    wait_for("the cause", lambda: names_cause(estate, failure))
    result = estate.run(failure.list_lines(failure.command)[-1])

    estate.execute(failure.list_lines(failure.mends))
    wait_for("the mended state", lambda: not names_cause(estate, failure))
    assert result.exit_code == 1, result.stdout
    assert not failure.is_down or NO_PROBLEMS not in result.stdout
