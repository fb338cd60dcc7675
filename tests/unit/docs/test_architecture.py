"""docs/architecture.md names every package, and no other."""

import re

import pytest

from testing.repository import ROOT
from tests.unit.docs.pages import read_section

PACKAGES_SECTION = read_section(ROOT / "docs/architecture.md", "Packages")
NAMED = set(re.findall(r"`([a-z0-9_/]+)/`", PACKAGES_SECTION))
PACKAGES = {
    str(file.parent.relative_to(ROOT))
    for pattern in ("*/__init__.py", "*/*/__init__.py", "*/*/*/__init__.py")
    for file in ROOT.glob(pattern)
}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_every_package_is_described(package: str) -> None:
    assert package in NAMED


@pytest.mark.parametrize("folder", sorted(folder.name for folder in (ROOT / "tests/integration").glob("[a-z]*")))
def test_every_folder_of_integration_tests_is_described(folder: str) -> None:
    assert f"`{folder}`" in PACKAGES_SECTION


@pytest.mark.parametrize("folder", sorted(NAMED))
def test_every_described_folder_exists(folder: str) -> None:
    assert (ROOT / folder).is_dir()
