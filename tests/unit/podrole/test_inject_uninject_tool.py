"""tests/tools/inject_uninject.py counts what becomes of manifests, and fails where a file does not come back."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tools.inject_uninject import main
from tests.unit.podrole.manifest_texts import DENIED, DEPLOYMENT, SERVICE

POD = "kind: Pod\nmetadata: {name: app}\nspec:\n  containers:\n  - name: app # one\n"
ALIAS = "kind: Pod\nx: &x {name: app}\nspec:\n  containers: [*x] # lost\n"


def run(directory: Path, capsys: pytest.CaptureFixture[str], **texts: str) -> tuple[int, list[Any], str]:
    """The exit code, the counts of each mode, and the differences."""
    for name, text in texts.items():
        (directory / f"{name}.yaml").write_text(text)
    code = main([str(directory)])
    lines = capsys.readouterr().out.splitlines()
    return code, [json.loads(line) for line in lines[:3]], "\n".join(lines[3:])


@pytest.fixture(autouse=True)
def restored_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PODROLE_SIDECAR_IMAGE", "PODROLE_REGION", "PODROLE_ACCOUNT_ID", "PODROLE_MODE"):
        monkeypatch.setenv(name, "")


def test_file_that_does_not_come_back_is_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, counts, differences = run(tmp_path, capsys, alias=ALIAS)

    assert (code, [one.get("identical", 0) for one in counts]) == (1, [1, 0, 0])
    assert "alias.yaml (env): not identical" in differences
    assert "# lost" in differences


def test_files_of_all_kinds_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {"pod": POD, "deployment": DEPLOYMENT, "service": SERVICE, "denied": DENIED, "helm": "kind: {{ .Kind }}\n"}

    code, counts, differences = run(tmp_path, capsys, **texts)

    assert (code, differences.strip()) == (0, "")
    for one, mode in zip(counts, ("block", "redirect", "env"), strict=True):
        assert one == {
            "directory": tmp_path.name,
            "mode": mode,
            "files": 5,
            "documents": 4,
            "injected": 2,
            "identical": 2,
            "idempotent": 2,
            "untouched": 1,
            "denied": 1,
            "refused": 1,
            "refused: template text {{ }}": 1,
            "templates: Inject": 1 if mode == "block" else 2,
            "templates: Deny": 1,
            **({"templates: Block": 1} if mode == "block" else {}),
        }
