"""How a setting is declared and read. Both processes take their settings from environment variables only.

A configuration is a NamedTuple with the decorator `configuration`. Each field is declared by `setting`, once: the
process, the options and the help of the command, docs/configuration.md and the error messages all read it.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from contract.service_links import is_service_link
from contract.text import hide_password, quote
from contract.value_types import PROXY, ValueType

SHOWN_LENGTH = 100
"""Characters of a wrong value that an error repeats. See `contract.termination` for the length of a whole message."""


class Setting(NamedTuple):
    """One environment variable."""

    variable: str
    type: ValueType
    meaning: str
    """One line, for `--help` and the documentation."""

    default: str | None = None
    """As a user would write it. Without a default the field of an unset variable is None."""

    unset: str = "none"
    """What happens without a value, for the documentation."""

    is_required: bool = False
    is_for_pods: bool = True
    """Whether it can change an injected pod: the command then has an option for it."""

    def parse(self, text: str | None) -> Any:
        """Return the field's value. An empty variable is unset."""
        value = text or self.default
        return None if value is None else self.type.parse(value)


def setting(variable: str, type_: ValueType, meaning: str, **options: Any) -> Any:
    """Declare a field of a configuration; the options are the other fields of `Setting`."""
    return Setting(variable, type_, meaning, **options)


ConfigClass = TypeVar("ConfigClass", bound=type[Any])


def configuration(config_class: ConfigClass) -> ConfigClass:
    """Make a NamedTuple of settings a configuration: a field's default is the setting's, parsed. Required fields first.

    https://docs.python.org/3/reference/datamodel.html#function.__defaults__
    """
    optional = (one for one in list_settings(config_class).values() if not one.is_required)
    config_class.__new__.__defaults__ = tuple(one.parse(None) for one in optional)
    return config_class


def list_settings(config_class: type[Any]) -> dict[str, Setting]:
    """The settings of a configuration by the names of their fields."""
    return dict(config_class._field_defaults)


def read_value(one: Setting, environ: Mapping[str, str]) -> str | None:
    """The text of a setting's variable; None where it is unset, empty or the description of a Service."""
    value = environ.get(one.variable)
    return None if not value or is_service_link(one.variable, value) else value


def parse_environ(config_class: type[Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The values of all fields, from an environment without problems."""
    return {name: one.parse(read_value(one, environ)) for name, one in list_settings(config_class).items()}


def find_problems(config_class: type[Any], environ: Mapping[str, str], required: Collection[str] = ()) -> Iterator[str]:
    """Yield a sentence for each wrong or missing value. `required`: variables that this environment needs as well."""
    sts_endpoint = environ.get("PODROLE_STS_ENDPOINT")
    for one in list_settings(config_class).values():
        value = read_value(one, environ)
        if value and (problem := find_problem(one, value, sts_endpoint)):
            yield f"{one.variable} is {problem}"
        elif not value and (one.is_required or one.variable in required):
            yield f"{one.variable} is not set: it must be {one.type.expected}"


def find_problem(one: Setting, value: str, sts_endpoint: str | None) -> str | None:
    """Describe a wrong value, to follow the word "is"; None for a valid one. It depends on PODROLE_STS_ENDPOINT."""
    type_ = one.type.choose(sts_endpoint)
    if one.type is PROXY and "@" in value:  # never repeated, as it has a password
        return "a URL with a user name or password, which every pod would show: use a proxy without one"
    if type_.accepts(value):
        return None
    shown = hide_password(value) if one.type.metavar == "URL" else value
    meant = type_.suggest(value) if type_.suggest else None
    hint = f"; did you mean {meant}?" if meant else ""
    return f"{quote(ascii(shown), SHOWN_LENGTH)}: it must be {type_.expected}{hint}"


def format_problems(title: str, problems: Collection[str]) -> str:
    """One message with all problems."""
    return "\n".join([title, *(f"  {problem}" for problem in problems)])
