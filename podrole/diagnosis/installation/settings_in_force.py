"""Lists the settings that commands use and that differ from their defaults, and where their values come from."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from contract.settings import Setting, list_settings, read_value
from contract.text import hide_password, quote
from injector.config import Config
from podrole.diagnosis.installation.findings import Configuration
from podrole.diagnosis.state.check_context import CheckContext
from podrole.diagnosis.state.installed_config import DeployedEnv
from podrole.findings import Finding

OWN_ENVIRONMENT = "your environment"
UNSET = "not set"
MAX_VALUE = 200
"""Characters of a value that is shown."""


class SettingInForce(NamedTuple):
    """A setting that differs from its default."""

    variable: str
    value: str
    """Without passwords. Empty: the caller's environment unsets it."""

    source: str
    """`ConfigMap <name>`, `the Deployment`, or OWN_ENVIRONMENT."""

    instead_of: str | None = None
    """The webhook's own value, which the caller's environment replaces for this command only. Empty: the default."""


def list_settings_in_force(deployed: DeployedEnv | None, own: Mapping[str, str]) -> list[SettingInForce]:
    """List them in the order of docs/configuration.md. `own` is the caller's environment, which takes precedence."""
    live = deployed or DeployedEnv({})
    return [found for one in list_settings(Config).values() for found in _find(one, live, own)]


def check_settings_in_force(context: CheckContext) -> Iterator[Finding]:
    """Report each of them as a note, so that nobody has to look for the value that counts."""
    for one in list_settings_in_force(context.deployed_env, context.own_environ):
        values = {"variable": one.variable, "value": one.value or UNSET, "source": one.source}
        if one.instead_of is None:
            yield Configuration.SETTING_IN_FORCE.format(**values)
        else:
            yield Configuration.OWN_SETTING_IN_FORCE.format(**values, installed=one.instead_of or UNSET)


def _find(one: Setting, live: DeployedEnv, own: Mapping[str, str]) -> Iterator[SettingInForce]:
    installed, chosen = read_value(one, live.environ), read_value(one, own)
    is_replaced = one.variable in own and (chosen or one.default) != (installed or one.default)
    if is_replaced:
        yield SettingInForce(
            one.variable, _show(one, chosen), OWN_ENVIRONMENT, _show(one, installed) if live.environ else None
        )
    elif installed and installed != one.default:
        yield SettingInForce(one.variable, _show(one, installed), live.sources.get(one.variable, "the Deployment"))


def _show(one: Setting, value: str | None) -> str:
    return quote(hide_password(value) if one.type.metavar == "URL" else value, MAX_VALUE) if value else ""
