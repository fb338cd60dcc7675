"""docs/configuration.md lists every setting, as it is declared."""

import pytest

from testing.settings_docs import CONFIGS, FILE, build_table, fill_in


@pytest.mark.parametrize("name", CONFIGS)
def test_documentation_has_the_table_of_settings(name: str) -> None:
    assert build_table(CONFIGS[name]) in FILE.read_text(), "run: python -m testing.settings_docs"


def test_generator_leaves_the_rest_of_the_documentation_unchanged() -> None:
    assert fill_in(FILE.read_text()) == FILE.read_text()
