"""docs/sidecar.md documents all log events, all keys of the status, and the status command's text."""

import ast
from collections.abc import Iterator
from datetime import datetime

import pytest

from sidecar.config import Config
from sidecar.credentials.schedule import Failure, State
from sidecar.status import ServingState, build_status, format_status
from testing.repository import ROOT

TEXT = (ROOT / "docs" / "sidecar.md").read_text()
FAILED_AT = datetime.fromisoformat("2026-11-24T18:01:07Z").timestamp()
STATUS = build_status(
    Config(
        role_arn="arn:aws:iam::111122223333:role/reader", region="eu-west-1", session_name="web", run_directory="/run"
    ),
    State(
        refresh_at=FAILED_AT + 36,
        failure=Failure("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", is_permanent=True),
        failures=3,
        failed_at=FAILED_AT,
    ),
    FAILED_AT,
)


def list_events() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each call of emit() in the sidecar: its event and the names of its fields."""
    for file in (ROOT / "sidecar").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "emit":
                event = ast.literal_eval(node.args[0])
                yield event, tuple(keyword.arg for keyword in node.keywords if keyword.arg)


@pytest.mark.parametrize(
    ("event", "fields"), [pytest.param(event, fields, id=event) for event, fields in sorted(list_events())]
)
def test_every_log_event_and_its_fields_are_documented(event: str, fields: tuple[str, ...]) -> None:
    [row] = [line for line in TEXT.splitlines() if line.startswith("| `") and f"`{event}`" in line.split(" | ")[0]]

    assert [field for field in fields if f"`{field}`" not in row] == []


@pytest.mark.parametrize("key", [*STATUS, *STATUS["last_failure"], *ServingState])
def test_every_key_and_state_of_the_status_is_documented(key: str) -> None:
    assert f"`{key}`" in TEXT


def test_example_of_the_status_is_the_real_output() -> None:
    assert f"```\n{format_status(STATUS)}\n```" in TEXT
