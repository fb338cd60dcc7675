"""Each failure of the estate is named by one podrole command, and mended by the lines of docs/troubleshooting.md."""

from contextlib import suppress

import pytest

from testing.cluster.api import wait_for
from testing.estate.failures import NODE, Failure, load_failures
from tests.integration.estate.causes import is_mistake, names_cause
from tests.integration.estate.installation import EstateCluster

NO_PROBLEMS = "0 problems"
REJECTED = ("denied the request", "failed calling webhook")
"""Of an API server's message about a pod that podrole rejects."""

FAILURES = [each for each in load_failures() if each.tested_on != NODE]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: each.name)
def test_failure_is_named_by_one_command_and_mended_by_the_documented_lines(
    estate: EstateCluster, failure: Failure
) -> None:
    if not is_mistake(failure):
        wait_for("the state before", lambda: not names_cause(estate.run, failure))

    estate.execute(failure.list_lines(failure.breaks))
    with suppress(AssertionError):
        wait_for("the cause", lambda: names_cause(estate.run, failure))
    result = estate.run(failure.list_lines(failure.command)[-1])
    is_named = names_cause(estate.run, failure)
    is_rejected = any(code in result.stdout for code in REJECTED)
    preflight = estate.run("podrole preflight --no-dry-run").stdout if is_rejected else ""

    estate.execute(failure.list_lines(failure.mends))  # before any assertion, as the other tests use the cluster too
    wait_for("the mended state", lambda: not names_cause(estate.run, failure))
    assert is_named, result.output
    assert not failure.is_down or result.exit_code == 1, result.stdout
    assert not failure.is_down or NO_PROBLEMS not in result.stdout
    assert not (is_rejected and failure.is_down) or "podrole rejects new pods of" in preflight
