"""Writes the tables of settings into docs/configuration.md: `python -m testing.settings_docs`."""

from typing import Any

from contract.settings import Setting, list_settings
from injector.config import Config as InjectorConfig
from sidecar.config import Config as SidecarConfig
from testing.repository import ROOT

FILE = ROOT / "docs" / "configuration.md"
CONFIGS: dict[str, type[Any]] = {"injector": InjectorConfig, "sidecar": SidecarConfig}


def build_table(config_class: type[Any]) -> str:
    """A table with one row a setting."""
    header = ["| variable | meaning | value | default |", "|---|---|---|---|"]
    rows = [_build_row(one) for one in list_settings(config_class).values()]
    return "".join(f"{line}\n" for line in header + rows)


def _build_row(one: Setting) -> str:
    default = "required" if one.is_required else f"`{one.default}`" if one.default else one.unset
    cells = (f"`{one.variable}`", one.meaning, one.type.expected, default)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def fill_in(text: str) -> str:
    """Replace the tables in the text of docs/configuration.md."""
    for name, config_class in CONFIGS.items():
        begin, end = f"<!-- settings of the {name} -->\n", "<!-- end -->"
        before, _, rest = text.partition(begin)
        text = before + begin + build_table(config_class) + rest[rest.index(end) :]
    return text


if __name__ == "__main__":
    FILE.write_text(fill_in(FILE.read_text()))
