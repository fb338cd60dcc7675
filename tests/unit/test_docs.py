"""The documentation lists what there is."""

import pytest

from injector import env_vars as injector_variables
from sidecar import env_vars as sidecar_variables
from testing.repository import ROOT

TEXT = (ROOT / "docs" / "configuration.md").read_text()
WEBHOOK, SIDECAR = TEXT.split("## The sidecar")


@pytest.mark.parametrize(
    "key", sorted(injector_variables.REQUIRED | injector_variables.REQUIRED_FOR_TLS | injector_variables.OPTIONAL)
)
def test_every_setting_of_the_webhook_is_documented(key: str) -> None:
    assert f"`{key}`" in WEBHOOK


@pytest.mark.parametrize("key", sorted(sidecar_variables.REQUIRED | sidecar_variables.OPTIONAL))
def test_every_setting_of_the_sidecar_is_documented(key: str) -> None:
    assert f"`{key}`" in SIDECAR
