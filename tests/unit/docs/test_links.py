"""What Markdown pages refer to exists: files, anchors, modules, and targets of the Makefile."""

import re
from pathlib import Path

import pytest

from testing.repository import ROOT
from tests.unit.docs.pages import CODE, IDS, PAGES, find_links, list_anchors, read_prose

FOLDERS = "bench|contract|demo|docs|images|injector|kustomize|podrole|requirements|server|sidecar|testing|tests"
BUILT = ("images/out/",)
"""Folders that the repository does not contain."""

TEST_NAMES = {
    name
    for file in ROOT.glob("tests/**/*.py")
    for name in (file.stem, *re.findall(r"def (test_\w+)", file.read_text()))
}

each_page = pytest.mark.parametrize("page", PAGES, ids=IDS)


@each_page
def test_every_relative_link_leads_to_a_file_and_anchor(page: Path) -> None:
    broken = []
    for link in find_links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in list_anchors(target)):
            broken.append(link)

    assert broken == []


@each_page
def test_every_path_in_backticks_exists(page: Path) -> None:
    paths = [code for code in CODE.findall(read_prose(page)) if re.fullmatch(rf"(?:{FOLDERS})/[\w./*-]*", code)]

    assert [path for path in paths if not path.startswith(BUILT) and not any(ROOT.glob(path.rstrip("/")))] == []


@each_page
def test_every_named_test_exists(page: Path) -> None:
    assert set(re.findall(r"`(test_\w+)`", page.read_text())) - TEST_NAMES == set()


@each_page
def test_every_module_started_with_python_m_exists(page: Path) -> None:
    modules = re.findall(rf"-m ((?:{FOLDERS})\b[\w.]*)", page.read_text())
    files = {module: ROOT / module.rstrip(".").replace(".", "/") for module in modules}

    assert [name for name, file in files.items() if not file.with_suffix(".py").exists() and not file.is_dir()] == []


@each_page
def test_every_make_target_exists(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    used = re.findall(r"(?:`|^    |^)make ([a-z-]+)", page.read_text(), re.MULTILINE)

    assert set(used) - set(targets) == set()


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == ROOT / "docs"], ids=lambda page: page.name)
def test_every_page_is_linked_from_the_readme(page: Path) -> None:
    assert f"docs/{page.name}" in {link.partition("#")[0] for link in find_links(ROOT / "README.md")}
