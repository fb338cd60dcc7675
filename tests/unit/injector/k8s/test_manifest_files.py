from pathlib import Path

import pytest

from injector.errors import ConfigError
from injector.k8s.manifest_files import ManifestReader
from injector.k8s.objects import Metadata


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no manifests at .*nowhere"):
        ManifestReader(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text",
    ["a: [", "kind: Namespace\nmetadata: {name: a, labels: {on: 1}}", "kind: Namespace\nmetadata: []", "\x00"],
    ids=["invalid-yaml", "number-as-label", "list-as-metadata", "null-byte"],
)
def test_unreadable_manifest_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.yaml").write_text(text)

    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        ManifestReader(tmp_path)


def test_namespaces_and_accounts_are_found_among_other_objects(tmp_path: Path) -> None:
    (tmp_path / "all.yml").write_text(
        """
kind: Namespace
metadata: {name: team-a, labels: {podrole.io/injection: enabled}}
---
---
kind: Deployment
metadata: {name: team-a}
---
kind: List
items:
  - {kind: ServiceAccount, metadata: {name: worker, namespace: team-a, annotations: {a: b}}}
  - {kind: ServiceAccount, metadata: {name: worker, annotations: null}}
"""
    )
    (tmp_path / "b.json").write_text('{"kind": "Namespace", "metadata": {"name": "team-b"}}')
    (tmp_path / "notes.txt").write_text("kind: [")

    reader = ManifestReader(tmp_path)

    assert reader.namespace("team-a") == Metadata({"podrole.io/injection": "enabled"}, {})
    assert reader.namespace("team-b") == Metadata({}, {})
    assert reader.namespace("team-c") is None
    assert reader.service_account("team-a", "worker") == Metadata({}, {"a": "b"})
    assert reader.service_account("default", "worker") == Metadata({}, {})
    assert reader.service_account("team-b", "worker") is None
