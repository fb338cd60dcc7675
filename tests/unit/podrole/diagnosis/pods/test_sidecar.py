"""The state of the injected containers: as the kubelet reports it, and the sidecar's own status."""

import json
from typing import Any

import pytest

from podrole.diagnosis.pods.container_states import SIDECAR_EXIT_CODES, report_container_states
from podrole.diagnosis.pods.sidecar import (
    format_seconds,
    is_sidecar_running,
    report_events,
    report_status,
    report_unread_status,
)
from podrole.findings import Finding
from sidecar import errors
from testing.cases import Pod
from tests.unit.podrole.diagnosis.states import LATER, build_running_pod

READER = "arn:aws:iam::111122223333:role/reader"
FAILURE = {
    "code": "AccessDenied",
    "message": "Not authorized to perform sts:AssumeRoleWithWebIdentity",
    "hint": "Run podrole trust-policy.",
    "at": "2026-09-02T11:00:00Z",
}


def report(**status: Any) -> list[Finding]:
    return [*report_status(build_running_pod(), json.dumps(status))]


def build_pod_in(container: str, **status: Any) -> Pod:
    pod = build_running_pod()
    for one in pod["status"]["initContainerStatuses"]:
        if one["name"] == container:
            one.update(status)
    return pod


def report_container(container: str, **status: Any) -> Finding:
    findings = report_container_states(build_pod_in(container, **status))
    return next(finding for finding in findings if finding.text.startswith(container))


@pytest.mark.parametrize("left", ["Infinity", "-Infinity", "NaN", "1e999", pytest.param("1" + "0" * 400, id="long")])
def test_time_left_that_is_no_time_is_unknown(left: str) -> None:
    (finding,) = report_status(
        build_running_pod(), f'{{"state": "serving", "role": "{READER}", "seconds_left": {left}}}'
    )

    assert (finding.level, finding.code) == ("ok", "Serving")
    assert "an unknown time" in finding.text


@pytest.mark.parametrize(
    "output",
    [*("", "Traceback (most recent call last):", "[]", "null", '"serving"'), pytest.param("[" * 100_000, id="deep")],
)
def test_invalid_status_is_shown_and_counts_as_unknown(output: str) -> None:
    (finding,) = report_status(build_running_pod(), output)

    assert (finding.level, finding.code) == ("unknown", "StatusReadFailed")
    assert output[:20] in finding.text
    assert finding.remedy == (
        "kubectl -n team-a exec web-7d4b9-x2x1k -c podrole-sidecar -- python3 -m sidecar.status --output json"
    )


def test_empty_status_means_no_credentials_yet() -> None:
    (finding,) = report()

    assert (finding.level, finding.code) == ("warning", "NoCredentialsYet")


def test_unknown_keys_of_the_status_are_ignored() -> None:
    (finding,) = report(role=READER, state="serving", seconds_left=59, colour="blue")

    assert finding.text == f"The sidecar serves credentials of {READER}; they expire in 59 s."


def test_denial_by_sts_is_a_problem_with_its_message_and_remedy() -> None:
    (finding,) = report(role=READER, state="refused", seconds_left=None, failures=3, last_failure=FAILURE)

    assert (finding.level, finding.code) == ("problem", "StsDenied")
    assert finding.text == (
        f"STS denied the role {READER}. AccessDenied Not authorized to perform sts:AssumeRoleWithWebIdentity "
        "(2026-09-02T11:00:00Z)"
    )
    assert finding.remedy == f"Run podrole trust-policy.\npodrole trust-policy {READER} -n team-a -s default"


def test_failing_refresh_is_a_warning_while_credentials_are_valid() -> None:
    (finding,) = report(role=READER, state="serving", seconds_left=1500, failures=4, last_failure=FAILURE)

    assert (finding.level, finding.code) == ("warning", "RefreshFailing")
    assert finding.text.startswith("The credentials expire in 25 min, and the last 4 attempts to renew them failed.")


def test_missing_credentials_after_a_failure_are_a_problem() -> None:
    (finding,) = report(role=READER, state="waiting", seconds_left=None, failures=1, last_failure=FAILURE)

    assert (finding.level, finding.code) == ("problem", "NoCredentials")


def test_role_that_differs_from_the_specification_is_a_warning() -> None:
    findings = report(role="arn:aws:iam::111122223333:role/admin", state="serving", seconds_left=1500)

    assert [finding.code for finding in findings] == ["Serving", "RoleMismatch"]


def test_credentials_of_the_node_are_a_warning() -> None:
    findings = report(role=READER, source="node", state="serving", seconds_left=1500)

    assert [finding.code for finding in findings] == ["Serving", "NodeCredentialSource"]


def build_measurement(state: str, reason: str) -> dict[str, Any]:
    addresses = {"169.254.169.254": {"state": state, "reason": reason}}
    return {"state": state, "measured": "2026-09-02T11:00:00Z", "addresses": addresses}


def test_state_file_that_cannot_be_written_is_a_warning_with_its_reason_on_one_line() -> None:
    findings = report(role=READER, state="serving", seconds_left=1500, state_file_error="No space\nleft on device")

    assert [(finding.level, finding.code) for finding in findings] == [("ok", "Serving"), ("warning", "StateNotSaved")]
    assert r"No space\nleft on device" in findings[1].text
    assert "/dev/shm" in findings[1].remedy


@pytest.mark.parametrize("error", [None, "", 5, {}], ids=["none", "empty", "number", "mapping"])
def test_state_file_without_an_error_is_not_reported(error: object) -> None:
    findings = report(role=READER, state="serving", seconds_left=1500, state_file_error=error)

    assert [finding.code for finding in findings] == ["Serving"]


def test_open_metadata_service_is_a_warning_with_its_remedy() -> None:
    open_node = build_measurement("open", "gives session tokens")

    findings = report(role=READER, state="serving", seconds_left=1500, node_metadata=open_node)

    assert [finding.code for finding in findings] == ["Serving", "NodeMetadataOpen"]
    assert findings[1].level == "warning"
    assert "169.254.169.254 gives session tokens (measured 2026-09-02T11:00:00Z)" in findings[1].text
    assert "HttpPutResponseHopLimit=1" in findings[1].remedy
    assert "HttpTokens=required" in findings[1].remedy


def test_closed_metadata_service_is_ok() -> None:
    findings = report(state="serving", seconds_left=1500, node_metadata=build_measurement("closed", "timed out"))

    assert [(finding.level, finding.code) for finding in findings][1:] == [("ok", "NodeMetadataClosed")]
    assert "169.254.169.254 timed out" in findings[1].text


@pytest.mark.parametrize(
    "measured", [{}, {"state": "ajar", "addresses": []}, {"addresses": {"x": None}}], ids=["empty", "list", "null"]
)
def test_measurement_of_another_form_counts_as_open(measured: dict[str, Any]) -> None:
    assert [finding.code for finding in report(state="serving", node_metadata=measured)][1:] == ["NodeMetadataOpen"]


@pytest.mark.parametrize(
    ("container", "status", "level", "text"),
    [
        pytest.param(
            "podrole-sidecar",
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}}},
            "problem",
            "podrole-sidecar cannot start because its image cannot be pulled: ImagePullBackOff: no such host",
            id="image-pull-failed",
        ),
        pytest.param(
            "podrole-sidecar",
            {"state": {"waiting": {"reason": "PodInitializing"}}},
            "note",
            "podrole-sidecar is waiting: PodInitializing.",
            id="waiting",
        ),
        pytest.param(
            "podrole-sidecar",
            {
                "restartCount": 7,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 3, "message": '{"event":"x"}\nno rule\n'}},
            },
            "problem",
            (
                "podrole-sidecar keeps exiting (CrashLoopBackOff, restart count 7): exit code 3, requests to the "
                "metadata addresses do not reach it: no rule"
            ),
            id="crash-loop",
        ),
        pytest.param(
            "podrole-sidecar",
            {
                "restartCount": 1,
                "state": {"running": {"startedAt": LATER}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            },
            "warning",
            (
                "podrole-sidecar is running (restart count 1). Last exit code 137, it was killed, for example when out "
                "of memory."
            ),
            id="restarted",
        ),
        pytest.param(
            "podrole-sidecar",
            {"state": {"terminated": {"exitCode": 2, "message": "PODROLE_REGION is not set"}}},
            "problem",
            "podrole-sidecar exited with code 2, its configuration is invalid: PODROLE_REGION is not set",
            id="exit-code-known",
        ),
        pytest.param(
            "podrole-sidecar",
            {"state": {"terminated": {"exitCode": 99, "reason": "Strange"}}},
            "problem",
            "podrole-sidecar exited with code 99, Strange.",
            id="exit-code-unknown",
        ),
        pytest.param(
            "podrole-redirect",
            {"state": {"terminated": {"exitCode": 1, "reason": "Error", "message": "Operation not permitted"}}},
            "problem",
            "podrole-redirect exited with code 1, Error: Operation not permitted",
            id="redirect-failed",
        ),
        pytest.param("podrole-redirect", {}, "ok", "podrole-redirect completed.", id="redirect-completed"),
        pytest.param(
            "podrole-sidecar", {}, "ok", f"podrole-sidecar has been running since {LATER}.", id="sidecar-running"
        ),
    ],
)
def test_container_state_is_reported(container: str, status: dict[str, Any], level: str, text: str) -> None:
    finding = report_container(container, **status)

    assert (finding.level, finding.text) == (level, text)


@pytest.mark.parametrize(
    ("status", "code", "command"),
    [
        pytest.param(
            {"state": {"waiting": {"reason": "ErrImagePull", "message": "401 Unauthorized"}}},
            "ImagePullFailed",
            "kubectl -n team-a get secrets",
            id="image-needs-a-login",
        ),
        pytest.param(
            {"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
            "ContainerFailed",
            "kubectl annotate namespace team-a podrole.io/sidecar-resources=limits.memory=128Mi --overwrite",
            id="out-of-memory",
        ),
        pytest.param(
            {"started": False},
            "StartupProbeFailing",
            "kubectl -n team-a logs web-7d4b9-x2x1k -c podrole-sidecar",
            id="not-started",
        ),
    ],
)
def test_sidecar_that_does_not_start_has_a_command_as_remedy(status: dict[str, Any], code: str, command: str) -> None:
    finding = report_container("podrole-sidecar", **status)

    assert finding.code == code
    assert finding.remedy.endswith(command)


def test_every_exit_code_of_the_sidecar_is_explained() -> None:
    codes = {error.exit_code for error in (errors.StartError, errors.ConfigError, errors.RedirectError)}

    assert codes | {errors.TERMINATED} <= SIDECAR_EXIT_CODES.keys()


def test_unscheduled_pod_is_reported_with_the_scheduler_s_reason() -> None:
    pod = build_running_pod()
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    pod["status"] = {"phase": "Pending", "conditions": [condition]}

    findings = [*report_container_states(pod)]

    assert [finding.code for finding in findings] == ["ContainerNotCreated", "ContainerNotCreated"]
    assert "the pod is Pending (Unschedulable: 0/3 nodes)" in findings[0].text


def test_containers_of_a_pod_without_status_are_not_created() -> None:
    pod = build_running_pod()
    del pod["status"]

    assert {finding.code for finding in report_container_states(pod)} == {"ContainerNotCreated"}
    assert not is_sidecar_running(pod)


def test_blocked_pod_has_no_sidecar_to_report() -> None:
    pod = build_running_pod()
    pod["spec"]["initContainers"].pop(1)

    assert [finding.text for finding in report_container_states(pod)] == ["podrole-redirect completed."]


def test_three_newest_warning_events_are_reported_in_order() -> None:
    events = tuple(
        {"type": kind, "reason": f"R{minute}", "message": "a\n b", "lastTimestamp": f"2026-09-02T10:0{minute}:00Z"}
        for minute, kind in [(4, "Warning"), (1, "Warning"), (3, "Normal"), (2, "Warning"), (5, "Warning")]
    )

    texts = [finding.text for finding in report_events(events)]

    assert texts == [f"Event R{minute} (count 1, last at 2026-09-02T10:0{minute}:00Z): a b" for minute in (2, 4, 5)]


def test_time_of_a_series_event_is_that_of_the_series() -> None:
    event = {"type": "Warning", "reason": "R", "series": {"count": 9, "lastObservedTime": LATER}}

    assert [finding.text for finding in report_events((event,))] == [f"Event R (count 9, last at {LATER}): "]


def test_unreadable_status_is_unknown() -> None:
    finding = report_unread_status(build_running_pod(), "exec is forbidden (403)")

    assert finding.level == "unknown"
    assert finding.text == "The sidecar's status could not be read: exec is forbidden (403)"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7260, "2 h 1 min")]
)
def test_duration_is_formatted_in_the_largest_units(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
