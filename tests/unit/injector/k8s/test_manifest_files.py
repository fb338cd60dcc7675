from pathlib import Path

import pytest

from injector.errors import ConfigError
from injector.k8s.manifest_files import ManifestReader
from injector.k8s.objects import Metadata


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no manifests at .*nowhere"):
        ManifestReader(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text",
    ["a: [", "kind: Namespace\nmetadata: {name: a, labels: {on: 1}}", "kind: Namespace\nmetadata: []", "\x00"],
)
def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.yaml").write_text(text)

    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        ManifestReader(tmp_path)


def test_namespaces_and_accounts_are_found_among_everything_else(tmp_path: Path) -> None:
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

    cluster = ManifestReader(tmp_path)

    assert cluster.namespace("team-a") == Metadata({"podrole.io/injection": "enabled"}, {})
    assert cluster.namespace("team-b") == Metadata({}, {})
    assert cluster.namespace("team-c") is None
    assert cluster.service_account("team-a", "worker") == Metadata({}, {"a": "b"})
    assert cluster.service_account("default", "worker") == Metadata({}, {})
    assert cluster.service_account("team-b", "worker") is None
