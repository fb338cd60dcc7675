import pytest

import contract
from injector.decision.annotations import ParsedAnnotations, parse_annotations
from injector.decision.pod_settings import POD_ANNOTATIONS
from injector.k8s.objects import Metadata
from injector.reasons import Reason
from testing.cases import CONFIG, ENABLED, load_case


def parse(**annotations: str) -> ParsedAnnotations:
    keys = {
        "session_name": "iam.amazonaws.com/session-name",
        "session_duration": "podrole.io/session-duration",
        "imds_tokens": "podrole.io/imds-tokens",
    }
    pod = Metadata({}, {keys[name]: value for name, value in annotations.items()})
    return parse_annotations(pod, ENABLED, None, CONFIG)


@pytest.mark.parametrize("value", ["", "x", "a b", "a/b", "é" * 3, "x" * 65, "ok\n"])
def test_invalid_session_name_is_an_error(value: str) -> None:
    assert [error.reason.code for error in parse(session_name=value).errors] == ["InvalidValue"]


@pytest.mark.parametrize(
    "value", ["", "0", "900", "1799", "43201", "99999", "1800s", "1h", "-1800", "1800.0", "01800", "١٨٠٠"]
)
def test_invalid_session_duration_is_an_error(value: str) -> None:
    errors = parse(session_duration=value).errors

    assert [error.reason.code for error in errors] == ["InvalidValue"]
    assert "1800 to 43200" in errors[0].text


@pytest.mark.parametrize("value", ["", "False", "TRUE", "no", "0", "required "])
def test_invalid_imds_tokens_is_an_error(value: str) -> None:
    assert [error.reason.code for error in parse(imds_tokens=value).errors] == ["InvalidValue"]


@pytest.mark.parametrize("value", ["1800", "1999", "2000", "3600", "9999", "10000", "39999", "42999", "43199", "43200"])
def test_session_duration_in_range_is_accepted(value: str) -> None:
    settings, errors, _ = parse(session_duration=value)

    assert not errors
    assert settings.sidecar_env == {contract.ENV_SESSION_DURATION: value}


def test_sidecar_variables_have_the_values_of_the_annotations() -> None:
    case = load_case("session-settings")
    pod = Metadata({}, case.pod["metadata"]["annotations"])

    settings, errors, warnings = parse_annotations(pod, ENABLED, None, CONFIG)

    assert settings.sidecar_env == {
        contract.ENV_SESSION_NAME: "nightly@team-a",
        contract.ENV_SESSION_DURATION: "7200",
        contract.ENV_IMDS_TOKENS: "required",
    }
    assert not errors
    assert not warnings


@pytest.mark.parametrize(
    ("pod", "account", "namespace", "reason"),
    [
        pytest.param("", {"iam.amazonaws.com/role": "web"}, {}, Reason.ROLE_FROM_SERVICE_ACCOUNT, id="pod"),
        pytest.param(
            "",
            {"iam.amazonaws.com/role": "", "eks.amazonaws.com/role-arn": ""},
            {"podrole.io/default-role": "web"},
            Reason.ROLE_FROM_NAMESPACE,
            id="account",
        ),
        pytest.param("", {}, {"podrole.io/default-role": ""}, Reason.NO_ROLE, id="namespace"),
        pytest.param("web", {}, {"podrole.io/intermediate-role": ""}, Reason.ROLE_FROM_POD, id="intermediate-role"),
    ],
)
def test_empty_role_counts_as_absent(
    pod: str, account: dict[str, str], namespace: dict[str, str], reason: Reason
) -> None:
    settings, errors, _ = parse_annotations(
        Metadata({}, {"iam.amazonaws.com/role": pod}),
        ENABLED._replace(annotations=namespace),
        Metadata({}, account),
        CONFIG,
    )

    assert not errors
    assert settings.role_reason is reason
    assert settings.intermediate_role is None


def test_status_annotation_is_not_an_unknown_key() -> None:
    pod = Metadata({}, {"podrole.io/status": "{}"})

    assert not parse_annotations(pod, ENABLED, None, CONFIG).warnings


def test_each_annotation_has_a_key_and_a_variable_of_its_own() -> None:
    assert len({annotation.key for annotation in POD_ANNOTATIONS}) == len(POD_ANNOTATIONS)
    assert len({annotation.variable for annotation in POD_ANNOTATIONS}) == len(POD_ANNOTATIONS)
