"""The documentation lists what there is."""

from pathlib import Path

import pytest

import contract
from injector import config as injector_config
from sidecar import config as sidecar_config

TEXT = (Path(contract.__file__).parents[1] / "docs" / "configuration.md").read_text()
WEBHOOK, SIDECAR = TEXT.split("## The sidecar")


@pytest.mark.parametrize(
    "key", sorted(injector_config.REQUIRED | injector_config.REQUIRED_FOR_TLS | injector_config.OPTIONAL)
)
def test_every_setting_of_the_webhook_is_documented(key: str) -> None:
    assert f"`{key}`" in WEBHOOK


@pytest.mark.parametrize("key", sorted(sidecar_config.REQUIRED | sidecar_config.OPTIONAL))
def test_every_setting_of_the_sidecar_is_documented(key: str) -> None:
    assert f"`{key}`" in SIDECAR
