"""Answers of STS that are malformed, or whose times are wrong, through the real process."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sidecar.credentials.credentials import ADDED_FIELDS
from sidecar.time_format import format_time
from testing.services.faulty_sts import GRANTED, Fault, FaultySts, Grant, StsRequest, build_grant
from testing.sidecars import CREDENTIALS_PATH, ROLE_ARN, Sidecar, running_sidecar

HOUR = 3600
YEAR = 365 * 24 * HOUR
CHAINED = {"PODROLE_INTERMEDIATE_ROLE": "arn:aws:iam::999988887777:role/hub"}
SHIFTED_CLOCK = """
import time
read = time.time
time.time = lambda: read() + {shift}
"""
"""The module `sitecustomize` of a process, and of its children, on a node whose clock is wrong."""


@contextmanager
def started(environ: dict[str, str], directory: Path) -> Iterator[Sidecar]:
    with running_sidecar(environ, directory) as sidecar:
        assert sidecar.wait_until_started() == 0
        yield sidecar
    assert "Traceback" not in sidecar.log


def read_status(sidecar: Sidecar) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(sidecar.request("/podrole/status").body)
    return status


def seconds_from_now(text: str, shift: float = 0) -> float:
    return datetime.fromisoformat(text).timestamp() - time.time() - shift


def check_hour(sidecar: Sidecar, shift: float = 0) -> None:
    """The credentials are served, for about an hour at most, and are refreshed in time."""
    status, served = read_status(sidecar), sidecar.request(CREDENTIALS_PATH)
    assert (status["state"], served.status) == ("serving", 200)
    assert 3500 < status["seconds_left"] <= HOUR
    assert 1500 < seconds_from_now(status["next_refresh"], shift) <= HOUR / 2
    assert seconds_from_now(json.loads(served.body)["Expiration"]) <= HOUR


class Times(NamedTuple):
    """What STS's answer says; None: what is right."""

    date: float | None
    expiration: str | None
    ignored: list[str]


WRONG_TIMES = {
    "date-of-1970": Times(0, None, ["Date"]),
    "date-of-2100": Times(4_102_444_800, None, ["Date"]),
    "expiration-of-2100": Times(None, "2100-01-01T00:00:00Z", ["Expiration"]),
    "date-of-1970-and-expiration-of-2100": Times(0, "2100-01-01T00:00:00Z", ["Expiration", "Date"]),
    "expiration-of-9999": Times(None, "9999-12-31T23:59:59Z", ["Expiration"]),
}


@pytest.fixture(params=WRONG_TIMES)
def wrong_sts(faulty_sts: FaultySts, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Times:
    """The times of an STS with one of these answers."""
    times = WRONG_TIMES[request.param]
    faulty_sts.will(afterwards=Grant(times.expiration))
    if (date := times.date) is not None:
        monkeypatch.setattr(StsRequest, "date_time_string", lambda *_: formatdate(date, usegmt=True))
    return times


@pytest.mark.parametrize("changes", [{}, CHAINED], ids=["web-identity", "chain"])
def test_wrong_time_of_sts_prolongs_nothing_even_after_a_restart(
    metrics_environ: dict[str, str], tmp_path: Path, wrong_sts: Times, changes: dict[str, str]
) -> None:
    for _ in range(2):
        with started(metrics_environ | changes, tmp_path) as sidecar:
            check_hour(sidecar)
            assert read_status(sidecar)["ignored_times"] == wrong_sts.ignored
            sidecar.process.kill()

    log = [json.loads(line) for line in (tmp_path / "sidecar.log").read_text().splitlines()]
    assert "restored" in {line["event"] for line in log}
    assert [line["times"] for line in log if line["event"] == "sts-times-ignored"] == [", ".join(wrong_sts.ignored)]


def test_saved_credentials_live_no_longer_than_requested(metrics_environ: dict[str, str], tmp_path: Path) -> None:
    """As an earlier version saved them."""
    with started(metrics_environ, tmp_path) as sidecar:
        sidecar.process.kill()
    file = tmp_path / "run" / "state.json"
    saved = json.loads(file.read_text())
    saved["credentials"] |= {"expires_at": 4_102_444_800, "clock_ahead_seconds": YEAR}
    for name in ADDED_FIELDS:
        del saved["credentials"][name]
    file.write_text(json.dumps(saved))

    with started(metrics_environ, tmp_path) as sidecar:
        check_hour(sidecar)
        assert read_status(sidecar)["ignored_times"] == ["Expiration"]

    assert '"restored"' in sidecar.log
    assert sidecar.log.count('"sts-times-ignored"') == 1


def test_saved_credentials_that_come_from_the_future_are_refreshed_in_time(
    metrics_environ: dict[str, str], tmp_path: Path
) -> None:
    with started(metrics_environ, tmp_path) as sidecar:
        sidecar.process.kill()
    file = tmp_path / "run" / "state.json"
    saved = json.loads(file.read_text())
    saved["credentials"]["obtained_at"] += YEAR
    saved["credentials"]["expires_at"] += YEAR
    file.write_text(json.dumps(saved))

    with started(metrics_environ, tmp_path) as sidecar:
        status = read_status(sidecar)

    assert status["seconds_left"] <= HOUR
    assert seconds_from_now(status["next_refresh"]) <= HOUR / 2


@pytest.mark.parametrize("shift", [40 * YEAR, 280 * YEAR, -40 * YEAR], ids=["ahead", "beyond-2242", "behind"])
def test_node_whose_clock_is_years_off_serves_credentials(
    metrics_environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path, shift: float
) -> None:
    """STS's Date tells what the time is."""
    (tmp_path / "sitecustomize.py").write_text(SHIFTED_CLOCK.format(shift=shift))
    metrics_environ["PYTHONPATH"] = str(tmp_path)

    for _ in range(2):
        with started(metrics_environ, tmp_path) as sidecar:
            check_hour(sidecar, shift)
            sidecar.process.kill()

    assert len(faulty_sts.requests) == 1, "the second process restored them"


def test_node_whose_clock_has_a_year_of_five_digits_is_one_failure(
    metrics_environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SHIFTED_CLOCK.format(shift=8000 * YEAR))
    metrics_environ["PYTHONPATH"] = str(tmp_path)

    with running_sidecar(metrics_environ, tmp_path) as sidecar:
        log = sidecar.wait_for_log('"failures": 1', 60)
        failure = read_status(sidecar)["last_failure"]

    assert failure["code"] == "ClockOutOfRange"
    assert "Set the node's clock" in failure["hint"]
    assert "Traceback" not in log


def replace(field: str, value: str) -> Callable[[str], str]:
    """Change a field of an answer."""

    def change(body: str) -> str:
        begin, end = body.index(f"<{field}>"), body.index(f"</{field}>") + len(f"</{field}>")
        return body[:begin] + value + body[end:]

    return change


MALFORMED = {
    "expiration-of-2020": (replace("Expiration", "<Expiration>2020-01-01T00:00:00Z</Expiration>"), "ExpirationPassed"),
    "expiration-when-it-is-read": (
        replace("Expiration", f"<Expiration>{format_time(time.time() + 30)}</Expiration>"),
        "ExpirationPassed",
    ),
    "expiration-in-words": (replace("Expiration", "<Expiration>tomorrow</Expiration>"), "InvalidField"),
    "expiration-missing": (replace("Expiration", ""), "IncompleteResponse"),
    "expiration-nested": (replace("Expiration", "<Expiration><a/></Expiration>"), "InvalidField"),
    "token-empty": (replace("SessionToken", "<SessionToken/>"), "IncompleteResponse"),
    "token-doubled": (replace("SessionToken", "<SessionToken>a</SessionToken>" * 2), "InvalidField"),
    "token-huge": (replace("SessionToken", f"<SessionToken>{'a' * 30_000}</SessionToken>"), "InvalidField"),
    "token-with-line-breaks": (replace("SessionToken", "<SessionToken>a&#10;b</SessionToken>"), "InvalidField"),
    "secret-nested": (replace("SecretAccessKey", "<SecretAccessKey>a<b/></SecretAccessKey>"), "InvalidField"),
    "key-with-other-letters": (replace("AccessKeyId", "<AccessKeyId>\u00e4</AccessKeyId>"), "InvalidField"),
}
"""Change of an answer, and the code of the failure, whose message names the field."""
FIELDS = {"expiration": "Expiration", "token": "SessionToken", "secret": "SecretAccessKey", "key": "AccessKeyId"}


@pytest.mark.parametrize("kind", MALFORMED)
@pytest.mark.parametrize("changes", [{}, CHAINED], ids=["web-identity", "chain"])
def test_malformed_answer_is_one_failure_that_names_the_field(
    metrics_environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path, changes: dict[str, str], kind: str
) -> None:
    change, code = MALFORMED[kind]
    action = "AssumeRole" if changes else "AssumeRoleWithWebIdentity"
    answer = Fault(200, change(build_grant({"Action": action, "RoleArn": ROLE_ARN}, GRANTED, 1)))
    faulty_sts.will(*([GRANTED, answer] if changes else [answer]) * 4, afterwards=answer)

    with running_sidecar(metrics_environ | changes, tmp_path) as sidecar:
        sidecar.wait_for_log('"failures": 2', 60)
        status, served = read_status(sidecar), sidecar.request(CREDENTIALS_PATH)
        metrics = sidecar.read_metrics()
        log = sidecar.log

    failure = status["last_failure"]
    assert (status["state"], served.status, failure["code"]) == ("waiting", 503, code)
    assert FIELDS[kind.partition("-")[0]] in failure["message"]
    assert "memory" not in failure["hint"]
    assert f'podrole_sidecar_refreshes_total{{outcome="transient_error",code="{code}"}}' in metrics
    assert "Traceback" not in log
    assert '"refreshed"' not in log
    assert [json.loads(line)["code"] for line in log.splitlines() if '"refresh-failed"' in line][:2] == [code] * 2


def test_refresh_backs_off_while_every_answer_has_expired(
    metrics_environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    faulty_sts.will(afterwards=Grant("2020-01-01T00:00:00Z"))

    with running_sidecar(metrics_environ, tmp_path) as sidecar:
        sidecar.wait_for_log('"failures": 4', 60)
        log = [json.loads(line) for line in sidecar.log.splitlines()]

    pauses = [
        seconds_from_now(line["next_refresh"]) - seconds_from_now(line["time"])
        for line in log
        if line["event"] == "refresh-failed"
    ]
    assert pauses[0] <= 3
    assert 7 <= pauses[3] <= 17
    assert len(faulty_sts.requests) <= 3 + 1 + 1 + 1
