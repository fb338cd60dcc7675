import pytest

from injector.decision.annotations import PodSettings, parse_pod_settings
from injector.k8s.objects import Metadata
from tests.unit.injector.cases import CONFIG, ENABLED, load_case


def parse(**annotations: str) -> PodSettings:
    keys = {
        "session_name": "iam.amazonaws.com/session-name",
        "session_duration": "podrole.io/session-duration",
        "imds_tokens": "podrole.io/imds-tokens",
    }
    pod = Metadata({}, {keys[name]: value for name, value in annotations.items()})
    return parse_pod_settings(pod, ENABLED, None, CONFIG)


@pytest.mark.parametrize("value", ["", "x", "a b", "a/b", "é" * 3, "x" * 65, "ok\n"])
def test_a_bad_session_name_is_an_error(value: str) -> None:
    assert [error.reason.code for error in parse(session_name=value).errors] == ["InvalidValue"]


@pytest.mark.parametrize(
    "value", ["", "0", "900", "1799", "43201", "99999", "1800s", "1h", "-1800", "1800.0", "01800", "١٨٠٠"]
)
def test_a_bad_session_duration_is_an_error(value: str) -> None:
    errors = parse(session_duration=value).errors

    assert [error.reason.code for error in errors] == ["InvalidValue"]
    assert "1800 to 43200" in errors[0].text


@pytest.mark.parametrize("value", ["", "False", "TRUE", "no", "0", "true "])
def test_a_bad_switch_is_an_error(value: str) -> None:
    assert [error.reason.code for error in parse(imds_tokens=value).errors] == ["InvalidValue"]


@pytest.mark.parametrize("value", ["1800", "1999", "2000", "3600", "9999", "10000", "39999", "42999", "43199", "43200"])
def test_every_duration_in_range_is_taken(value: str) -> None:
    settings = parse(session_duration=value)

    assert not settings.errors
    assert settings.session_duration == value


def test_settings_are_taken_as_written() -> None:
    case = load_case("session-settings")
    pod = Metadata({}, case.pod["metadata"]["annotations"])

    settings = parse_pod_settings(pod, ENABLED, None, CONFIG)

    assert (settings.session_name, settings.session_duration, settings.imds_tokens) == (
        "nightly@team-a",
        "7200",
        "required",
    )
    assert not settings.errors
    assert not settings.warnings


def test_the_status_that_podrole_writes_is_no_unknown_key() -> None:
    pod = Metadata({}, {"podrole.io/status": "{}"})

    assert not parse_pod_settings(pod, ENABLED, None, CONFIG).warnings
