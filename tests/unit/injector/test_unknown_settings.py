"""Variables that look like settings and are none."""

import re
import time

import pytest

import contract
from injector.config import VARIABLES, Config
from injector.errors import ConfigError
from injector.unknown_settings import MAX_SHOWN, SIDECAR_VARIABLES, describe_unknown, find_meant, find_unknown
from sidecar.config import VARIABLES as VARIABLES_OF_THE_SIDECAR
from testing.cases import ENVIRON
from testing.hostile_text import find_unprintable
from tests.unit.contract.test_service_links import build_links


def refusal_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Config.from_environ(environ)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        pytest.param("PODROLE_ACOUNT_ID", "PODROLE_ACCOUNT_ID", id="missing-letter"),
        pytest.param("PODROLE_RGEION", "PODROLE_REGION", id="swapped-letters"),
        pytest.param("PODROLE_IMAGE_PULL_SECRET", "PODROLE_IMAGE_PULL_SECRETS", id="singular"),
        pytest.param("PODROLE_ACCOUNTID", "PODROLE_ACCOUNT_ID", id="missing-underscore"),
        pytest.param("PODROLE_ACCOUNT", "PODROLE_ACCOUNT_ID", id="missing-word"),
        pytest.param("PODROLE_AWS_REGION", "PODROLE_REGION", id="additional-word"),
        pytest.param("PODROLE_IMAGE", "PODROLE_SIDECAR_IMAGE", id="one-word-of-three-settings"),
        pytest.param("podrole_region", "PODROLE_REGION", id="lower-case"),
        pytest.param("PODROLE-REGION", "PODROLE_REGION", id="dash"),
        pytest.param("PODROL_REGION", "PODROLE_REGION", id="misspelt-prefix"),
        pytest.param("POD_ROLE_MODE", "PODROLE_MODE", id="prefix-of-two-words"),
        pytest.param("PODROLE_WEBHOK_PORT", "PODROLE_WEBHOOK_PORT", id="form-of-a-service-but-not-the-value"),
    ],
)
def test_misspelt_setting_is_refused_with_the_nearest_name(variable: str, meant: str) -> None:
    lines = refusal_of(ENVIRON | {variable: "9443"})

    assert lines == ["invalid environment:", f"  {variable} is not a setting; did you mean {meant}?"]


@pytest.mark.parametrize("value", ["", "eu-west-1"])
def test_setting_that_resembles_none_is_refused(value: str) -> None:
    lines = refusal_of(ENVIRON | {"PODROLE_LOG_LEVEL": value})

    assert lines[1:] == ["  PODROLE_LOG_LEVEL is not a setting: docs/configuration.md lists all settings"]


def test_setting_of_the_sidecar_is_refused_as_such() -> None:
    lines = refusal_of(ENVIRON | {"PODROLE_METRICS": "true"})

    sentence = "PODROLE_METRICS is a setting of the sidecar, not of the injector; did you mean PODROLE_SIDECAR_METRICS?"
    assert lines[1:] == [f"  {sentence}"]


def test_unknown_settings_are_reported_together_with_all_other_problems() -> None:
    lines = refusal_of({"PODROLE_SIDECAR_IMAGE": "i", "PODROLE_REGON": "eu-west-1", "PODROLE_MODE": "x"})

    assert lines[1] == "  PODROLE_REGON is not a setting; did you mean PODROLE_REGION?"
    assert [line.split()[0] for line in lines[2:]] == ["PODROLE_REGION", "PODROLE_MODE"]


@pytest.mark.parametrize("variable", ["POD_NAMESPACE", "POD_ROLE_ARN", "PODROLER_REGION_X", "AWS_REGION", "PODMAN_X"])
def test_variable_of_others_is_ignored(variable: str) -> None:
    assert Config.from_environ(ENVIRON | {variable: "x"}) == Config.from_environ(ENVIRON)


@pytest.mark.parametrize("name", ["podrole", "podrole-injector", "podrole-webhook", "podrole-sts-endpoint"])
@pytest.mark.parametrize("address", ["10.96.0.10", "fd00:10:96::a"])
def test_variables_of_services_are_ignored(name: str, address: str) -> None:
    links = build_links(name, address, port_name="webhook")

    assert Config.from_environ(ENVIRON | links) == Config.from_environ(ENVIRON)


def test_many_hostile_names_make_a_short_printable_message() -> None:
    names = {f"PODROLE_{number}_\x1b[31m\u202e{'x' * 3000}": "secret-value" for number in range(1000)}

    lines = refusal_of(ENVIRON | names)

    assert len(lines) == 1 + MAX_SHOWN + 1
    assert lines[-1] == f"  and {1000 - MAX_SHOWN} more that are not settings"
    assert len("\n".join(lines).encode()) < 1500
    assert find_unprintable("\n".join(lines)) == ""
    assert "secret-value" not in str(lines)


def test_thousands_of_services_cost_little_time() -> None:
    environ = {k: v for n in range(500) for k, v in build_links(f"podrole-{n}", "10.96.0.10").items()}
    environ |= {k: v for n in range(500) for k, v in build_links(f"pod-{n}", "10.96.0.10").items()}
    before = time.process_time()

    assert find_unknown(environ, VARIABLES) == []
    assert time.process_time() - before < 2


def test_longest_sentences_leave_room_in_the_termination_message() -> None:
    longest = max(VARIABLES, key=len)
    names = [f"{longest[:-1]}{letter}" for letter in "ABCDEFGHIJKL"]

    message = "\n".join(describe_unknown(names, VARIABLES))

    assert message.count(f"did you mean {longest}?") == MAX_SHOWN
    assert len(message.encode()) < 1024


@pytest.mark.parametrize("known", [VARIABLES, tuple(SIDECAR_VARIABLES)], ids=["injector", "sidecar"])
def test_every_setting_is_the_nearest_to_itself_and_to_its_typing_errors(known: tuple[str, ...]) -> None:
    assert [one for one in known if find_meant(one, known) != one] == []
    long = [one for one in known if len(one) > len("PODROLE_REGION")]
    assert [one for one in long if find_meant(one[:-2] + one[-1], known) != one] == []


def test_the_contract_names_all_variables_of_the_sidecar() -> None:
    assert frozenset(VARIABLES_OF_THE_SIDECAR) == SIDECAR_VARIABLES
    assert all(re.fullmatch(r"PODROLE_[A-Z_]+", one) for one in SIDECAR_VARIABLES)
    assert contract.ENV_ROLE_ARN in SIDECAR_VARIABLES
