"""Holds the catalogue of what must be true against the tests that ran: with `--catalogue` an unproven entry fails.

A test says what it proves with `@pytest.mark.covers("row:no-role", "pain:9")`; it counts if it ran and passed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

CATALOGUE = Path(__file__).with_name("catalogue.yaml")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that `make test` gives."""
    parser.addoption("--catalogue", action="store_true", help="fail for entries of catalogue.yaml that no test proved")


def pytest_configure(config: pytest.Config) -> None:
    """Start counting."""
    if config.getoption("--catalogue"):
        config.pluginmanager.register(Proofs(load_catalogue()), "catalogue")


def load_catalogue() -> dict[str, str]:
    """Every entry: its id, and the sentence that must be true."""
    return {key: str(sentence) for key, sentence in yaml.safe_load(CATALOGUE.read_text()).items()}


class Proofs:
    """Which entries were proven in this run."""

    def __init__(self, catalogue: dict[str, str]) -> None:
        self.catalogue = catalogue
        self.proven: set[str] = set()
        self.unknown: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Note what a test proves once it has passed."""
        report: pytest.TestReport = yield  # type: ignore[assignment] # pytest sends the report back in
        covered = {entry for mark in item.iter_markers("covers") for entry in mark.args}
        self.unknown |= covered - self.catalogue.keys()
        if report.when == "call" and report.passed:
            self.proven |= covered
        return report  # type: ignore[return-value] # as above

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Turn an otherwise good run into a failed one."""
        if exitstatus == pytest.ExitCode.OK and (self.missing or self.unknown):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what is missing."""
        terminalreporter.section("catalogue")
        terminalreporter.line(f"{len(self.proven)} of {len(self.catalogue)} entries proven")
        for entry in sorted(self.missing):
            terminalreporter.line(f"NOT PROVEN {entry}: {self.catalogue[entry]}")
        for entry in sorted(self.unknown):
            terminalreporter.line(f"NOT IN THE CATALOGUE: {entry}")

    @property
    def missing(self) -> set[str]:
        """What no test that ran has proven."""
        return set(self.catalogue) - self.proven
