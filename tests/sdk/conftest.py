"""What the apps of these tests find around them."""

from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home without a configuration."""
    directory = tmp_path / "home"
    directory.mkdir()
    return directory
