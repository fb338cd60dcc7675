"""The documentation lists what there is."""

from pathlib import Path

import pytest

import contract
from injector import variables as injector_variables
from sidecar import variables as sidecar_variables

TEXT = (Path(contract.__file__).parents[1] / "docs" / "configuration.md").read_text()
WEBHOOK, SIDECAR = TEXT.split("## The sidecar")


@pytest.mark.parametrize(
    "key", sorted(injector_variables.REQUIRED | injector_variables.REQUIRED_FOR_TLS | injector_variables.OPTIONAL)
)
def test_every_setting_of_the_webhook_is_documented(key: str) -> None:
    assert f"`{key}`" in WEBHOOK


@pytest.mark.parametrize("key", sorted(sidecar_variables.REQUIRED | sidecar_variables.OPTIONAL))
def test_every_setting_of_the_sidecar_is_documented(key: str) -> None:
    assert f"`{key}`" in SIDECAR
