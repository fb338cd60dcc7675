"""Every name of a metric that somebody reads is one that a process exposes, and means one thing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.repository import ROOT
from tests.integration.kustomize.exposed import INJECTOR, SIDECAR, Families, list_series
from tests.integration.kustomize.manifests import KUSTOMIZE

PAGES = {INJECTOR: "docs/operations.md", SIDECAR: "docs/wire.md"}
"""Where each process's metrics are listed."""


def list_readers() -> Iterator[str]:
    """Every file that could name a metric to a user."""
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *KUSTOMIZE.rglob("*")):
        if path.is_file() and find_names(path):
            yield str(path.relative_to(ROOT))


def find_names(path: Path) -> set[str]:
    return set(re.findall(r"\bpodrole_\w+", path.read_text()))


def test_no_metric_is_exposed_by_both_processes(exposed: dict[str, Families]) -> None:
    assert exposed[INJECTOR].keys() & exposed[SIDECAR].keys() == set()
    assert set(list_series(exposed[INJECTOR])) & set(list_series(exposed[SIDECAR])) == set()


@pytest.mark.parametrize("reader", sorted(list_readers()))
def test_only_metrics_that_are_exposed_are_named(exposed: dict[str, Families], reader: str) -> None:
    known = {name for families in exposed.values() for name in (*families, *list_series(families))}

    assert find_names(ROOT / reader) - known == set()


@pytest.mark.parametrize("job", PAGES)
def test_every_metric_is_documented(exposed: dict[str, Families], job: str) -> None:
    page = (ROOT / PAGES[job]).read_text()

    assert exposed[job]
    assert [name for name in exposed[job] if not re.search(rf"`{name}[`{{]", page)] == []


def test_pages_that_list_metrics_are_among_those_that_are_read() -> None:
    assert {*PAGES.values(), "kustomize/components/monitoring/alerts.yaml"} <= set(list_readers())
    assert "kustomize/components/monitoring/podrole.json" in set(list_readers())
