"""docs/sidecar.md documents all log events, all keys of the status, and the status command's text."""

import ast
from collections.abc import Iterator
from datetime import datetime

import pytest

from server.deadlines import REQUEST_SECONDS, SEND_SECONDS
from server.parser import MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET_BYTES
from sidecar.config import Config
from sidecar.credentials.schedule import Failure, State
from sidecar.server import MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_METRICS_CONNECTIONS, SETTINGS
from sidecar.status import ServingState, build_status, format_status
from testing.repository import ROOT

KIB = 1024
TEXT = (ROOT / "docs" / "sidecar.md").read_text()
FAILED_AT = datetime.fromisoformat("2026-11-24T18:01:07Z").timestamp()
STATUS = build_status(
    Config(
        role_arn="arn:aws:iam::111122223333:role/reader",
        region="eu-west-1",
        session_name="web",
        run_directory="/run",
        pod_uid="1",
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


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("open connections to each loopback address", MAX_CONNECTIONS),
        ("open connections to the metrics port", MAX_METRICS_CONNECTIONS),
        ("one complete request", f"{REQUEST_SECONDS:g} s"),
        ("reading a response", f"{SEND_SECONDS:g} s"),
        ("between two requests of a connection", f"{SETTINGS.keepalive_seconds:g} s"),
        ("request line", f"{MAX_TARGET_BYTES // KIB} KiB"),
        ("head", f"{MAX_HEAD_BYTES // KIB} KiB, {MAX_HEADERS} headers"),
        ("body", f"{MAX_BODY_BYTES // KIB} KiB; none on the metrics port"),
        ("bytes of unanswered requests, all connections together", f"{SETTINGS.max_buffered_bytes // KIB // KIB} MiB"),
        (
            "requests that wait for the node's metadata (pass-through)",
            f"{SETTINGS.max_threads} at a time, {SETTINGS.max_waiting} in the queue",
        ),
        ("after SIGTERM", f"{SETTINGS.graceful_seconds:g} s"),
    ],
)
def test_every_limit_is_documented(what: str, limit: object) -> None:
    assert f"| {what} | {limit} |" in TEXT


def test_example_of_the_status_is_the_real_output() -> None:
    assert f"```\n{format_status(STATUS)}\n```" in TEXT
