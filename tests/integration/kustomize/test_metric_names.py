"""Docs, alerts and dashboards name only exported metrics, and the names follow Prometheus' conventions.

https://prometheus.io/docs/practices/naming/
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.cluster.manifests import KUSTOMIZE
from testing.repository import ROOT
from tests.integration.kustomize.exported_metrics import INJECTOR, SIDECAR, Families, list_series
from tests.integration.kustomize.monitoring_files import COMPONENTS, DASHBOARD_FILES

PAGES = {INJECTOR: "docs/operations.md", SIDECAR: "docs/wire.md"}
"""The page that documents the metrics of each process."""


def list_readers() -> Iterator[str]:
    """Every file for users that names a metric."""
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *KUSTOMIZE.rglob("*")):
        if path.is_file() and find_names(path):
            yield str(path.relative_to(ROOT))


def find_names(path: Path) -> set[str]:
    """Find the names of metrics, except the old name of a renamed one."""
    text = re.sub(r"`podrole_\w+` ->", "", path.read_text())
    return set(re.findall(r"\bpodrole_\w+", text))


def test_no_metric_is_exported_by_both_processes(exported: dict[str, Families]) -> None:
    assert exported[INJECTOR].keys() & exported[SIDECAR].keys() == set()
    assert set(list_series(exported[INJECTOR])) & set(list_series(exported[SIDECAR])) == set()


@pytest.mark.parametrize("reader", sorted(list_readers()))
def test_file_names_only_exported_metrics(exported: dict[str, Families], reader: str) -> None:
    known = {name for families in exported.values() for name in (*families, *list_series(families))}

    assert find_names(ROOT / reader) - known == set()


@pytest.mark.parametrize("job", PAGES)
def test_every_metric_is_documented(exported: dict[str, Families], job: str) -> None:
    page = (ROOT / PAGES[job]).read_text()

    assert exported[job]
    assert [name for name in exported[job] if not re.search(rf"`{name}[`{{]", page)] == []


def test_metric_pages_alerts_and_dashboards_are_checked() -> None:
    files = [COMPONENTS[job] / name for job in PAGES for name in ("alerts.yaml", DASHBOARD_FILES[job])]

    assert {*PAGES.values(), *(str(file.relative_to(ROOT)) for file in files)} <= set(list_readers())


@pytest.mark.parametrize("job", PAGES)
def test_only_counters_end_in_total(exported: dict[str, Families], job: str) -> None:
    counters = {name for name, family in exported[job].items() if family.kind == "counter"}

    assert counters
    assert counters == {name for name in exported[job] if name.endswith("_total")}


@pytest.mark.parametrize("job", PAGES)
def test_help_text_is_a_sentence(exported: dict[str, Families], job: str) -> None:
    texts = {name: family.description for name, family in exported[job].items()}

    assert [name for name, text in texts.items() if not re.fullmatch(r"[A-Z0-9].{10,}\.", text)] == []
