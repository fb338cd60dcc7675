"""A pytest plugin: with `--known-skips`, a skipped test fails unless tests/skips.yaml lists it."""

from collections.abc import Generator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

LIST = Path(__file__).with_name("skips.yaml")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that the Makefile gives in CI."""
    parser.addoption("--known-skips", action="store_true", help=f"fail for skips that {LIST.name} does not list")


# First, so that it is the outermost wrapper and sees the report that is final. It runs where the test runs: with
# pytest-xdist in a worker, whose reports the controller prints.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn an unknown skip into a failure. A test that is expected to fail is not a skip."""
    report = yield
    if item.config.getoption("--known-skips") and report.skipped and not hasattr(report, "wasxfail"):
        assert isinstance(report.longrepr, tuple)
        reason = report.longrepr[2]
        if not is_known(f"{report.nodeid}: {reason}"):
            report.outcome = "failed"
            report.longrepr = f"skipped, and not in {LIST.name}: {report.nodeid}: {reason}"
    return report


def is_known(skip: str) -> bool:
    """Whether one of the list's patterns matches `<test id>: <reason>`."""
    return any(fnmatchcase(skip, pattern) for pattern in load_known())


def load_known() -> dict[str, str]:
    """Patterns of `<test id>: <reason>`, and why each of these skips is right."""
    return {pattern: str(reason) for pattern, reason in yaml.safe_load(LIST.read_text()).items()}
