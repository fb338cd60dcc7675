"""Holds the tests that were skipped against the list of those that may be: with `--known-skips` another one fails."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

KNOWN = Path(__file__).with_name("skips.yaml")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that CI gives."""
    parser.addoption("--known-skips", action="store_true", help="fail for skipped tests that skips.yaml does not name")


def pytest_configure(config: pytest.Config) -> None:
    """Start to look."""
    if config.getoption("--known-skips"):
        config.pluginmanager.register(Skips(load_known()), "skips")


def load_known() -> dict[str, str]:
    """What may be skipped, a pattern of a test's id and of what it says, and the reason."""
    return {pattern: str(reason) for pattern, reason in yaml.safe_load(KNOWN.read_text()).items()}


class Skips:
    """What was skipped in this run and is not known."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known
        self.unknown: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that was skipped, and why. One that is expected to fail is none."""
        if not report.skipped or not isinstance(report.longrepr, tuple):
            return
        said = report.longrepr[2]
        if not any(fnmatchcase(f"{report.nodeid}: {said}", pattern) for pattern in self.known):
            self.unknown[report.nodeid] = said

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Turn an otherwise good run into a failed one."""
        if exitstatus == pytest.ExitCode.OK and self.unknown:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which."""
        for test, reason in self.unknown.items():
            terminalreporter.line(f"SKIPPED, AND NOT IN {KNOWN.name}: {test}: {reason}")
