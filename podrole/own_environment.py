"""The variables of whoever runs the command: all commands read the webhook's settings from them."""

from collections.abc import Mapping

import contract
from contract.settings import format_problems
from injector.config import VARIABLES
from injector.errors import ConfigError
from injector.unknown_settings import describe_unknown, find_unknown

OTHERS = ("PODROLE_DEBUG", contract.ENV_POD_UID)
"""Of the command itself, and what every injected container has, where the command can run too."""


def check_own_environment(environ: Mapping[str, str]) -> None:
    """Raise ConfigError with all variables that are meant as settings and are none."""
    known = (*VARIABLES, *OTHERS)
    if unknown := find_unknown(environ, known):
        raise ConfigError(format_problems("invalid environment:", [*describe_unknown(unknown, known)]))
