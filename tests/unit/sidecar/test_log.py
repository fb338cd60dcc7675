"""Log events and fatal errors."""

import json

import pytest

from contract.termination import truncate_termination_message
from sidecar.errors import StartError
from sidecar.log import emit, log_fatal
from testing.hostile_text import HOSTILE, find_unprintable


def test_event_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    emit("refresh-failed", message='a "quoted"\nline', failures=2, permanent=True)

    [line] = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert event.pop("time").endswith("Z")
    assert event == {"event": "refresh-failed", "message": 'a "quoted"\nline', "failures": 2, "permanent": True}


def test_fatal_error_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    log_fatal(StartError("cannot listen on 127.0.0.1 port 16925"))

    assert capsys.readouterr().err == "podrole-sidecar: cannot listen on 127.0.0.1 port 16925\n"


@pytest.mark.parametrize(
    "letter",
    ["x", "\u00e9", "\U0001f600", "\udc80"],
    ids=["one-byte", "two-bytes", "four-bytes", "lone-surrogate"],
)
def test_long_termination_message_keeps_its_beginning(letter: str) -> None:
    truncated = truncate_termination_message("podrole-sidecar: " + letter * 3000)

    assert truncated.startswith("podrole-sidecar: ")
    assert truncated.endswith(" (truncated)\n")
    assert 2000 < len(truncated.encode()) <= 2048


def test_hostile_field_is_escaped_and_cut(capsys: pytest.CaptureFixture[str]) -> None:
    emit("refresh-failed", message=HOSTILE, detail="\x1b" * 1_000_000)

    line = capsys.readouterr().err
    event = json.loads(line)
    assert not find_unprintable(line + event["message"] + event["detail"])
    assert len(event["detail"]) <= 2048


def test_hostile_fatal_error_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    log_fatal(StartError(f"one\n  {HOSTILE}"))

    text = capsys.readouterr().err
    assert text.startswith("podrole-sidecar: one\n  arn:")
    assert not find_unprintable(text)
