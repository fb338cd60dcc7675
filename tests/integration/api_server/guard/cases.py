"""The pods of tests/pods, and the injector's settings, as the guard's tests use them."""

from typing import Any

from injector.config import Config
from testing.cases import ENVIRON, PODS, load_case
from tests.integration.api_server.guard.policies import build_settings

CASES = {path.stem: load_case(path.stem) for path in sorted(PODS.glob("*.yaml"))}


def config_of(changes: dict[str, Any]) -> Config:
    """The injector's settings with these changes."""
    return Config.from_environ({**ENVIRON, **build_settings(changes)})
