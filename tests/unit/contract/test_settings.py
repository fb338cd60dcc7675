import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from contract.settings import Setting, configuration, find_problems, list_settings, parse_environ, read_value, setting
from contract.value_types import BOOLEAN, PORT, PROXY, choice, seconds
from injector.config import Config as InjectorConfig
from injector.value_types import RedirectBackend
from sidecar.config import Config as SidecarConfig
from testing.repository import ROOT

CONFIGS = [pytest.param(InjectorConfig, id="injector"), pytest.param(SidecarConfig, id="sidecar")]
OTHER_LINKS = r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
"""What the kubelet can set for a Service besides `<NAME>_PORT`."""

READERS = {InjectorConfig: ("injector", "podrole"), SidecarConfig: ("sidecar",)}


@configuration
class Example(NamedTuple):
    image: str = setting("X_IMAGE", PROXY._replace(pattern=r"\w+", expected="a word"), "An image", is_required=True)
    backend: RedirectBackend = setting("X_BACKEND", choice(RedirectBackend), "A backend", default="nftables")
    port: int = setting("X_PORT", PORT, "A port", default="80")
    proxy: str | None = setting("X_PROXY", PROXY, "A proxy")
    is_on: bool = setting("X_ON", BOOLEAN, "A switch", default="false")


def find_attributes(folders: tuple[str, ...]) -> Iterator[str]:
    """The names of all attributes that the code of these folders reads, except in the configuration itself."""
    files = [file for folder in folders for file in Path(ROOT, folder).rglob("*.py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield f"self.{node.attr}" if file.name == "config.py" else node.attr


@pytest.mark.parametrize("config_class", CONFIGS)
def test_every_setting_is_read_by_the_product(config_class: type[Any]) -> None:
    read = set(find_attributes(READERS[config_class]))

    assert [name for name in list_settings(config_class) if not {name, f"self.{name}"} & read] == []


@pytest.mark.parametrize("config_class", CONFIGS)
def test_every_field_of_a_configuration_is_a_setting_of_its_own(config_class: type[Any]) -> None:
    settings = list_settings(config_class)

    assert [*settings] == [*config_class._fields]
    assert len({one.variable for one in settings.values()}) == len(settings)


@pytest.mark.parametrize("config_class", CONFIGS)
def test_meaning_is_one_line_that_starts_with_a_capital_letter(config_class: type[Any]) -> None:
    for one in list_settings(config_class).values():
        assert "\n" not in one.meaning
        assert one.meaning[0].isupper()
        assert not one.meaning.endswith(".")


@pytest.mark.parametrize("config_class", CONFIGS)
def test_every_default_is_a_valid_value(config_class: type[Any]) -> None:
    for one in list_settings(config_class).values():
        assert not one.default or one.type.accepts(one.default), one.variable


@pytest.mark.parametrize("config_class", CONFIGS)
def test_configuration_without_its_required_fields_cannot_be_created(config_class: type[Any]) -> None:
    required = {name: "x" for name, one in list_settings(config_class).items() if one.is_required}

    assert required
    for name in required:
        with pytest.raises(TypeError, match=name):
            config_class(**{other: value for other, value in required.items() if other != name})


@pytest.mark.parametrize("config_class", CONFIGS)
def test_field_without_a_value_has_the_parsed_default(config_class: type[Any]) -> None:
    settings = list_settings(config_class)
    required = {name: "x" for name, one in settings.items() if one.is_required}
    config = config_class(**required)

    assert config._asdict() == required | {
        name: one.parse(None) for name, one in settings.items() if not one.is_required
    }
    assert not [value for value in config if isinstance(value, Setting)]


def test_unset_and_empty_variables_have_their_default() -> None:
    environ = {"X_IMAGE": "a", "X_PORT": "", "X_PROXY": ""}

    assert Example(**parse_environ(Example, environ)) == Example(image="a")
    assert Example(image="a") == Example(image="a", backend=RedirectBackend.NFTABLES, port=80, proxy=None, is_on=False)


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("tcp://10.96.0.10:80", id="ipv4"),
        pytest.param("tcp://[fd00:10:96::a]:80", id="ipv6"),
        pytest.param("udp://10.96.0.10:53", id="udp"),
        pytest.param("sctp://10.96.0.10:9", id="sctp"),
    ],
)
def test_link_to_a_service_is_no_value(link: str) -> None:
    environ = {"X_IMAGE": "a", "X_PORT": link}

    assert list(find_problems(Example, environ)) == []
    assert Example(**parse_environ(Example, environ)) == Example(image="a")


def test_required_port_that_only_a_service_sets_is_missing() -> None:
    assert list(find_problems(Example, {"X_IMAGE": "a", "X_PORT": "tcp://10.96.0.10:80"}, required=("X_PORT",))) == [
        "X_PORT is not set: it must be a port from 0 to 65535"
    ]


@pytest.mark.parametrize(
    "port", ["http://10.96.0.10:80", "tcp://", "TCP://10.96.0.10:80", "tcp://10.96.0.10:80\n", "a"]
)
def test_other_text_is_a_wrong_port(port: str) -> None:
    [problem] = find_problems(Example, {"X_IMAGE": "a", "X_PORT": port})

    assert problem.startswith("X_PORT is ")


@pytest.mark.parametrize("config_class", CONFIGS)
def test_no_service_can_set_a_setting(config_class: type[Any]) -> None:
    """A Service `podrole-metrics` makes the kubelet set PODROLE_METRICS_PORT, among others."""
    settings = list_settings(config_class).values()
    ports = [one for one in settings if one.variable.endswith("_PORT")]

    assert ports
    assert [one.variable for one in settings if re.fullmatch(OTHER_LINKS, one.variable)] == []
    assert [one.variable for one in ports if read_value(one, {one.variable: "tcp://10.96.0.10:80"})] == []


def test_values_are_parsed() -> None:
    environ = {"X_IMAGE": "a", "X_PORT": "8080", "X_BACKEND": "iptables", "X_ON": "true"}

    assert parse_environ(Example, environ) == {
        "image": "a",
        "backend": RedirectBackend.IPTABLES,
        "port": 8080,
        "proxy": None,
        "is_on": True,
    }


def test_all_problems_are_found() -> None:
    assert list(find_problems(Example, {"X_PORT": "65536", "X_BACKEND": "ebpf"}, required=("X_ON",))) == [
        "X_IMAGE is not set: it must be a word",
        "X_BACKEND is 'ebpf': it must be nftables or iptables",
        "X_PORT is '65536': it must be a port from 0 to 65535",
        "X_ON is not set: it must be true or false",
    ]


@pytest.mark.parametrize("port", ["00080", "000080", "65536", "99999", "-1", "٣"])
def test_wrong_port_is_rejected(port: str) -> None:
    assert not PORT.accepts(port)


@pytest.mark.parametrize("port", ["0", "80", "0080", "10000", "65535"])
def test_port_is_accepted(port: str) -> None:
    assert PORT.accepts(port)


def test_wrong_value_is_truncated_and_ascii() -> None:
    [problem] = find_problems(Example, {"X_IMAGE": "\u00e9" * 300})

    assert problem == "X_IMAGE is '" + "\\xe9" * 24 + "\\xe...: it must be a word"


@pytest.mark.parametrize("url", ["http://user:secret@proxy.example.com:3128", "secret@proxy"])
def test_password_of_a_proxy_is_not_repeated(url: str) -> None:
    [problem] = find_problems(Example, {"X_IMAGE": "a", "X_PROXY": url})

    assert "X_PROXY is a URL with a user name or password" in problem
    assert "secret" not in problem


@pytest.mark.parametrize(
    ("text", "is_accepted"),
    [
        ("899", False),
        ("900", True),
        ("43200", True),
        ("43201", False),
        ("0900", False),
        ("9" * 5000, False),
        ("", False),
    ],
)
def test_seconds_are_in_range(text: str, is_accepted: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert seconds(900, 43200).accepts(text) is is_accepted
