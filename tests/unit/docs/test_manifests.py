"""The manifests set only settings of the webhook that docs/configuration.md lists."""

import re
from pathlib import Path

import pytest

from testing.repository import ROOT
from tests.unit.docs.pages import read_section

KUSTOMIZE = ROOT / "kustomize"
SETTING = re.compile(r"\bPODROLE_[A-Z_0-9]*[A-Z0-9]\b")
DOCUMENTED = set(SETTING.findall(read_section(ROOT / "docs/configuration.md", "The webhook")))
FILES = [file for file in sorted(KUSTOMIZE.rglob("*")) if file.suffix in {".env", ".yaml"}]


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if SETTING.search(file.read_text())],
    ids=lambda file: str(file.relative_to(KUSTOMIZE)),
)
def test_every_setting_in_the_manifests_is_documented(file: Path) -> None:
    assert set(SETTING.findall(file.read_text())) - DOCUMENTED == set()
