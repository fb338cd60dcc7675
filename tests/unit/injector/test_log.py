import io
import json
import logging

import pytest

from injector.decision.outcomes import Outcome
from injector.log import JsonFormatter, set_up_logging
from injector.webhook.decision_log import DecisionLogEntry

ENTRY = DecisionLogEntry(
    uid="u-1",
    namespace="shop",
    pod="web-*",
    owner="ReplicaSet/web-5d9c",
    outcome=Outcome.INJECT,
    mode="redirect",
    reasons=("RoleFromPod",),
    seconds=0.00123,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def write_line(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(logging.root, "handlers", [])
    set_up_logging(stream)
    logging.getLogger("podrole.admission").warning("%s", ENTRY, extra={"fields": {"uid": "u-1", "seconds": 0.5}})
    return stream.getvalue()


def test_log_is_text_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    line = write_line(Terminal(), monkeypatch)

    assert line.endswith("u-1 shop/web-*: Inject RoleFromPod of ReplicaSet/web-5d9c, 1.2 ms\n")


def test_log_is_json_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    line = json.loads(write_line(io.StringIO(), monkeypatch))

    assert (line["level"], line["uid"], line["seconds"]) == ("WARNING", "u-1", 0.5)


def test_json_log_contains_traceback_in_one_line() -> None:
    error = RuntimeError("unexpected")
    exc_info = (type(error), error, error.__traceback__)
    entry = logging.LogRecord("podrole", logging.ERROR, "x.py", 1, "%s failed", ("u-1",), exc_info)

    lines = JsonFormatter().format(entry).splitlines()

    assert len(lines) == 1
    assert "RuntimeError: unexpected" in json.loads(lines[0])["traceback"]
