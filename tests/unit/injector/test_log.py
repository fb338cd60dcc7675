import io
import json
import logging

import pytest

from contract.text import quote
from injector.decision.outcomes import Outcome
from injector.log import JsonFormatter, set_up_logging
from injector.webhook.decision_log import DecisionLogEntry
from testing.hostile_text import HOSTILE, find_unprintable

ENTRY = DecisionLogEntry(
    uid="u-1",
    namespace="shop",
    pod="web-*",
    owner="ReplicaSet/web-5d9c",
    service_account="web",
    outcome=Outcome.INJECT,
    mode="redirect",
    role="arn:aws:iam::111122223333:role/reader",
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

    what = "Inject RoleFromPod of ReplicaSet/web-5d9c, role arn:aws:iam::111122223333:role/reader"
    assert line.endswith(f"u-1 shop/web-*: {what}, 1.2 ms\n")


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


def write_hostile_error(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(logging.root, "handlers", [])
    set_up_logging(stream)
    error = RuntimeError(HOSTILE)
    logging.getLogger("podrole.admission").error("%s failed", HOSTILE, exc_info=(RuntimeError, error, None))
    return stream.getvalue()


def test_hostile_text_forges_no_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = write_hostile_error(Terminal(), monkeypatch)

    assert not find_unprintable(text)
    first, *traceback = text.splitlines()
    assert first.endswith(f"ERROR {quote(HOSTILE, 1000)} failed")
    assert all(line.startswith("    ") for line in traceback)


def test_hostile_text_is_printable_in_a_json_log_after_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    [line] = write_hostile_error(io.StringIO(), monkeypatch).splitlines()

    entry = json.loads(line)
    assert entry["message"] == f"{quote(HOSTILE, 1000)} failed"
    assert not find_unprintable(line + entry["traceback"])


def test_fields_of_the_log_are_quoted_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(logging.root, "handlers", [])
    set_up_logging(stream)

    fields = {"pod": "x" * 7_900_000, "owner": HOSTILE, "mode": None, "seconds": 0.5}
    logging.getLogger("podrole.admission").warning("%s", "", extra={"fields": fields})

    line = stream.getvalue()
    entry = json.loads(line)
    assert len(line) < 4096
    assert entry["pod"] == "x" * 2048 + "..."
    assert (entry["owner"], entry["mode"], entry["seconds"]) == (quote(HOSTILE, 1000), None, 0.5)


def test_traceback_is_cut_at_its_beginning() -> None:
    error = RuntimeError("\x1b" * 1_000_000 + "the end")
    entry = logging.LogRecord("podrole", logging.ERROR, "x.py", 1, "failed", (), (type(error), error, None))

    traceback = json.loads(JsonFormatter().format(entry))["traceback"]

    assert len(traceback) <= 16 * 1024
    assert traceback.endswith("the end")
