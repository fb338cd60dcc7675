"""What the injected containers say: the kubelet's word on them, and the sidecar's own status."""

import json
from typing import Any

import pytest

from podrole.diagnosis.sidecar import (
    SIDECAR_ENDS,
    find_container_states,
    find_events,
    find_status,
    format_seconds,
    is_sidecar_running,
    tell_unread,
)
from podrole.findings import Finding
from sidecar import errors
from tests.unit.injector.cases import Pod
from tests.unit.podrole.diagnosis.snapshots import LATER, build_running_pod

READER = "arn:aws:iam::111122223333:role/reader"
FAILURE = {
    "code": "AccessDenied",
    "message": "Not authorized to perform sts:AssumeRoleWithWebIdentity",
    "hint": "Run podrole trust-policy.",
    "at": "2026-09-02T11:00:00Z",
}


def find(**status: Any) -> list[Finding]:
    return [*find_status(build_running_pod(), json.dumps(status))]


def build_pod_in(container: str, **status: Any) -> Pod:
    pod = build_running_pod()
    for one in pod["status"]["initContainerStatuses"]:
        if one["name"] == container:
            one.update(status)
    return pod


def tell(container: str, **status: Any) -> Finding:
    findings = find_container_states(build_pod_in(container, **status))
    return next(finding for finding in findings if finding.text.startswith(container))


@pytest.mark.parametrize("output", ["", "Traceback (most recent call last):", "[]", "null", '"serving"'])
def test_answer_that_is_no_status_is_shown_and_counts_as_unknown(output: str) -> None:
    (told,) = find_status(build_running_pod(), output)

    assert (told.level, told.code) == ("unknown", "StatusUnread")
    assert output[:20] in told.text
    assert told.remedy == (
        "kubectl -n team-a exec web-7d4b9-x2x1k -c podrole-sidecar -- python3 -m sidecar.status --output json"
    )


def test_status_without_any_key_claims_nothing() -> None:
    (told,) = find()

    assert (told.level, told.code) == ("warning", "Starting")


def test_unknown_keys_of_a_later_sidecar_are_ignored() -> None:
    (told,) = find(role=READER, state="serving", seconds_left=59, colour="blue")

    assert told.text == f"It serves credentials of {READER}: 59 s left."


def test_refusal_is_a_problem_with_the_words_of_sts_and_the_remedy() -> None:
    (told,) = find(role=READER, state="refused", seconds_left=None, failures=3, last_failure=FAILURE)

    assert (told.level, told.code) == ("problem", "Refused")
    assert told.text == (
        f"STS refuses it the role {READER}. AccessDenied Not authorized to perform sts:AssumeRoleWithWebIdentity "
        "(2026-09-02T11:00:00Z)"
    )
    assert told.remedy == "Run podrole trust-policy."


def test_credentials_that_cannot_be_renewed_are_a_warning_while_they_last() -> None:
    (told,) = find(role=READER, state="serving", seconds_left=1500, failures=4, last_failure=FAILURE)

    assert (told.level, told.code) == ("warning", "RefreshFails")
    assert told.text.startswith("It has credentials for 25 min more, but could not renew them, 4 times by now.")


def test_waiting_after_a_failure_is_a_problem() -> None:
    (told,) = find(role=READER, state="waiting", seconds_left=None, failures=1, last_failure=FAILURE)

    assert (told.level, told.code) == ("problem", "NoCredentials")


def test_another_role_than_the_specification_names_is_a_warning() -> None:
    findings = find(role="arn:aws:iam::111122223333:role/admin", state="serving", seconds_left=1500)

    assert [finding.code for finding in findings] == ["Serving", "ServingAnother"]


def test_credentials_of_the_node_are_named_unsafe() -> None:
    findings = find(role=READER, source="node", state="serving", seconds_left=1500)

    assert [finding.code for finding in findings] == ["Serving", "NodeSource"]


@pytest.mark.parametrize(
    ("container", "status", "level", "text"),
    [
        (
            "podrole-sidecar",
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}}},
            "problem",
            "podrole-sidecar cannot start, as its image cannot be had: ImagePullBackOff: no such host",
        ),
        (
            "podrole-sidecar",
            {"state": {"waiting": {"reason": "PodInitializing"}}},
            "note",
            "podrole-sidecar waits: PodInitializing.",
        ),
        (
            "podrole-sidecar",
            {
                "restartCount": 7,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 3, "message": '{"event":"x"}\nno rule\n'}},
            },
            "problem",
            (
                "podrole-sidecar does not stay up (CrashLoopBackOff, restarted 7 x): exit code 3, the metadata "
                "addresses do not lead to it: no rule"
            ),
        ),
        (
            "podrole-sidecar",
            {
                "restartCount": 1,
                "state": {"running": {"startedAt": LATER}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            },
            "warning",
            (
                "podrole-sidecar runs, but was restarted 1 x. Last end: exit code 137, it was killed, by the kernel if "
                "out of memory."
            ),
        ),
        (
            "podrole-sidecar",
            {"state": {"terminated": {"exitCode": 2, "message": "PODROLE_REGION is not set"}}},
            "problem",
            "podrole-sidecar ended with exit code 2, its environment is wrong: PODROLE_REGION is not set",
        ),
        (
            "podrole-sidecar",
            {"state": {"terminated": {"exitCode": 99, "reason": "Strange"}}},
            "problem",
            "podrole-sidecar ended with exit code 99, Strange.",
        ),
        (
            "podrole-redirect",
            {"state": {"terminated": {"exitCode": 1, "reason": "Error", "message": "Operation not permitted"}}},
            "problem",
            "podrole-redirect ended with exit code 1, Error: Operation not permitted",
        ),
        ("podrole-redirect", {}, "ok", "podrole-redirect has done its work."),
        ("podrole-sidecar", {}, "ok", f"podrole-sidecar runs since {LATER}."),
    ],
)
def test_state_of_a_container_is_told(container: str, status: dict[str, Any], level: str, text: str) -> None:
    told = tell(container, **status)

    assert (told.level, told.text) == (level, text)


def test_exit_codes_are_those_that_the_sidecar_has() -> None:
    codes = {error.exit_code for error in (errors.StartError, errors.ConfigError, errors.RedirectError)}

    assert codes | {errors.TERMINATED} <= SIDECAR_ENDS.keys()


def test_pod_that_was_not_scheduled_tells_the_scheduler_s_reason() -> None:
    pod = build_running_pod()
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    pod["status"] = {"phase": "Pending", "conditions": [condition]}

    told = [*find_container_states(pod)]

    assert [finding.code for finding in told] == ["NotCreated", "NotCreated"]
    assert "the pod is Pending (Unschedulable: 0/3 nodes)" in told[0].text


def test_pod_without_any_status_is_new() -> None:
    pod = build_running_pod()
    del pod["status"]

    assert {finding.code for finding in find_container_states(pod)} == {"NotCreated"}
    assert not is_sidecar_running(pod)


def test_blocked_pod_is_not_asked_for_a_sidecar() -> None:
    pod = build_running_pod()
    pod["spec"]["initContainers"].pop(1)

    assert [finding.text for finding in find_container_states(pod)] == ["podrole-redirect has done its work."]


def test_three_newest_warnings_are_told_in_the_order_in_which_they_came() -> None:
    events = tuple(
        {"type": kind, "reason": f"R{minute}", "message": "a\n b", "lastTimestamp": f"2026-09-02T10:0{minute}:00Z"}
        for minute, kind in [(4, "Warning"), (1, "Warning"), (3, "Normal"), (2, "Warning"), (5, "Warning")]
    )

    told = [finding.text for finding in find_events(events)]

    assert told == [f"Event R{minute}, 1 x, last at 2026-09-02T10:0{minute}:00Z: a b" for minute in (2, 4, 5)]


def test_event_of_the_newer_kind_has_its_time_in_the_series() -> None:
    event = {"type": "Warning", "reason": "R", "series": {"count": 9, "lastObservedTime": LATER}}

    assert [finding.text for finding in find_events((event,))] == [f"Event R, 9 x, last at {LATER}: "]


def test_status_that_may_not_be_asked_for_is_unknown_and_not_well() -> None:
    told = tell_unread(build_running_pod(), "exec is forbidden (403)")

    assert told.level == "unknown"
    assert told.text == "What the sidecar itself says is not known: exec is forbidden (403)"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7260, "2 h 1 min")]
)
def test_span_is_said_as_a_person_would(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
