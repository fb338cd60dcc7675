"""The sidecar's settings. One error names all problems."""

import pytest

from sidecar.config import Config
from sidecar.errors import ConfigError

COMPLETE = {
    "PODROLE_ROLE_ARN": "arn:aws:iam::111122223333:role/team/reader",
    "PODROLE_REGION": "eu-west-1",
    "PODROLE_POD_NAMESPACE": "shop",
    "PODROLE_POD_NAME": "web-5d9c7",
    "PODROLE_POD_UID": "0c7c5f4e-1b1a-4c6e-9d52-6f0f6f0b7a11",
    "PODROLE_RUN_DIRECTORY": "/dev/shm/podrole-1",
}


def test_error_names_all_missing_variables() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_environ({})

    message = str(caught.value)
    names = ("ROLE_ARN", "REGION", "RUN_DIRECTORY", "POD_UID", "POD_NAME")
    for key in (f"PODROLE_{name}" for name in names):
        assert key in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PODROLE_ROLE_ARN", "reader"),
        ("PODROLE_ROLE_ARN", "arn:aws:iam::111122223333:user/reader"),
        ("PODROLE_ROLE_ARN", "arn:aws:iam::1111:role/reader"),
        ("PODROLE_ROLE_ARN", "arn:aws:iam::111122223333:role/" + "r" * 65),
        ("PODROLE_ROLE_ARN", "arn:aws:iam::111122223333:role/reader\n"),
        ("PODROLE_REGION", "Ireland"),
        ("PODROLE_RUN_DIRECTORY", "podrole"),
        ("PODROLE_POD_UID", "$(PODROLE_POD_UID)"),
        ("PODROLE_POD_UID", "a/b"),
        ("PODROLE_SERVE_LOOPBACK", "yes"),
        ("PODROLE_SESSION_NAME", "x"),
        ("PODROLE_SESSION_NAME", "with blank"),
        ("PODROLE_SESSION_DURATION", "899"),
        ("PODROLE_SESSION_DURATION", "43201"),
        ("PODROLE_SESSION_DURATION", "1h"),
        ("PODROLE_MODE", "block"),
        ("PODROLE_IMDS_TOKENS", "no"),
        ("PODROLE_STS_ENDPOINT", "sts.example.com"),
        ("PODROLE_STS_ENDPOINT", "https://sts.example.com/a b"),
        ("PODROLE_NODE_METADATA_ENDPOINT", "http://169.254.169.254:65536"),
        ("PODROLE_TOKEN_FILE", "token"),
        ("PODROLE_PORT", "http"),
        ("PODROLE_PORT", "65536"),
        ("PODROLE_METRICS", "yes"),
        ("PODROLE_METRICS_PORT", "-1"),
        ("PODROLE_INSTANCE_ID", "web-1"),
        ("PODROLE_ZONE", "in the cellar"),
    ],
)
def test_invalid_value_is_shown_with_its_variable(key: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_environ(COMPLETE | {key: value})

    assert f"{key} is {value!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("PODROLE_CREDENTIAL_SOURCE", "node"), ("PODROLE_METADATA_PASSTHROUGH", "true")],
    ids=["source-node", "pass-through"],
)
def test_closed_metadata_in_env_mode_contradicts_what_needs_the_nodes_metadata(key: str, value: str) -> None:
    environ = COMPLETE | {"PODROLE_REQUIRE_CLOSED_METADATA": "true", key: value}

    with pytest.raises(ConfigError, match=f"PODROLE_REQUIRE_CLOSED_METADATA and {key} are both set"):
        Config.from_environ(environ | {"PODROLE_MODE": "env"})
    assert Config.from_environ(environ | {"PODROLE_MODE": "redirect"}).require_closed_metadata


def test_one_error_has_both_invalid_values() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_environ(COMPLETE | {"PODROLE_REGION": "?", "PODROLE_MODE": "?"})

    assert "PODROLE_REGION" in str(caught.value)
    assert "PODROLE_MODE" in str(caught.value)


def test_required_variables_give_the_documented_defaults() -> None:
    config = Config.from_environ(COMPLETE)

    assert config.role_name == "reader"
    assert config.account_id == "111122223333"
    assert config.mode == "redirect"
    assert config.session_duration_seconds == 3600
    assert config.sts_endpoint is None
    assert not config.requires_imds_token
    assert config.port == 16925
    assert config.zone is None
    assert config.instance_id is None
    assert config.metrics is False
    assert config.token_file == "/var/run/secrets/kubernetes.io/serviceaccount/token"


@pytest.mark.parametrize("seconds", ["900", "3600", "9999", "10000", "43200"])
def test_session_duration_in_the_range_of_sts_is_accepted(seconds: str) -> None:
    config = Config.from_environ(COMPLETE | {"PODROLE_SESSION_DURATION": seconds})

    assert config.session_duration_seconds == int(seconds)


def test_default_session_name_has_namespace_and_pod() -> None:
    assert Config.from_environ(COMPLETE).role_session_name == "shop.web-5d9c7"


def test_given_session_name_is_used_unchanged() -> None:
    config = Config.from_environ(COMPLETE | {"PODROLE_SESSION_NAME": "billing@night"})

    assert config.role_session_name == "billing@night"


def test_long_session_name_keeps_the_end_of_the_pod_name() -> None:
    names = {"PODROLE_POD_NAMESPACE": "n" * 63, "PODROLE_POD_NAME": "p" * 80 + "-7f9cbd4c5-x2x9k"}

    session_name = Config.from_environ(COMPLETE | names).role_session_name

    assert len(session_name) == 64
    assert session_name.startswith("nnn")
    assert session_name.endswith("-7f9cbd4c5-x2x9k")


@pytest.mark.parametrize("zone", ["eu-west-1a", "eu-west-1-lax-1a", "eu-west-1-wl1-bos-wlz-1"])
def test_zone_of_the_region_is_accepted(zone: str) -> None:
    assert Config.from_environ(COMPLETE | {"PODROLE_ZONE": zone}).zone == zone


@pytest.mark.parametrize("zone", ["", "rack-7", "eu-west-1", "eu-west-11", "eu-west-2a", "eu-west-1-", "xeu-west-1a"])
def test_label_that_is_not_a_zone_of_the_region_is_ignored(zone: str) -> None:
    assert Config.from_environ(COMPLETE | {"PODROLE_ZONE": zone}).zone is None


def test_enabled_metrics_have_a_port() -> None:
    metrics = {"PODROLE_METRICS": "true"}

    assert Config.from_environ(COMPLETE | metrics).metrics_port == 16926
    assert Config.from_environ(COMPLETE | metrics | {"PODROLE_METRICS_PORT": "9000"}).metrics_port == 9000
    assert Config.from_environ(COMPLETE | {"PODROLE_METRICS": "false"}).metrics is False
