import stat
from pathlib import Path
from typing import Any

import pytest

from testing.pods import PodError
from testing.pods.volumes import VolumeSources, replace_file, write_volume

POD = {"metadata": {"name": "web-0", "namespace": "team-a"}, "spec": {}, "status": {}}


def mint(audience: str, expiration_seconds: int) -> str:
    return f"token for {audience}, {expiration_seconds} s"


def write(volume: dict[str, Any], directory: Path, **sources: Any) -> Path:
    write_volume({"name": "v", **volume}, directory / "v", VolumeSources(POD, **sources))
    return directory / "v"


@pytest.mark.parametrize("kind", ["hostPath", "secret", "persistentVolumeClaim"])
def test_unsupported_volume_types_are_rejected(tmp_path: Path, kind: str) -> None:
    with pytest.raises(PodError, match=f"volume v: {kind} is not supported here; supported: emptyDir"):
        write({kind: {}}, tmp_path)


def test_token_volume_without_token_function_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PodError, match=r"a token for sts.amazonaws.com .* pass `token`"):
        write(
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "sts.amazonaws.com"}}]}},
            tmp_path,
        )


def test_missing_config_map_is_rejected_unless_optional(tmp_path: Path) -> None:
    with pytest.raises(PodError, match="ConfigMap ca does not exist"):
        write({"configMap": {"name": "ca"}}, tmp_path / "first")

    directory = write({"configMap": {"name": "ca", "optional": True}}, tmp_path / "second")

    assert list(directory.iterdir()) == []


def test_missing_config_map_key_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PodError, match=r"ConfigMap ca has no key b; it has: a"):
        write(
            {"configMap": {"name": "ca", "items": [{"key": "b", "path": "b"}]}}, tmp_path, config_maps={"ca": {"a": ""}}
        )


def test_projected_volume_contains_token_config_map_and_fields(tmp_path: Path) -> None:
    sources = [
        {"serviceAccountToken": {"path": "token", "audience": "sts.amazonaws.com", "expirationSeconds": 900}},
        {"serviceAccountToken": {"path": "api/token"}},
        {"configMap": {"name": "ca", "items": [{"key": "ca.crt", "path": "ca.pem"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]

    directory = write({"projected": {"sources": sources}}, tmp_path, token=mint, config_maps={"ca": {"ca.crt": "PEM"}})

    assert (directory / "token").read_text() == "token for sts.amazonaws.com, 900 s"
    assert (directory / "api/token").read_text() == "token for https://kubernetes.default.svc.cluster.local, 3600 s"
    assert (directory / "ca.pem").read_text() == "PEM"
    assert (directory / "namespace").read_text() == "team-a"
    assert stat.S_IMODE((directory / "token").stat().st_mode) == 0o644


def test_empty_dir_is_empty_and_world_writable(tmp_path: Path) -> None:
    directory = write({"emptyDir": {}}, tmp_path)

    assert list(directory.iterdir()) == []
    assert stat.S_IMODE(directory.stat().st_mode) == 0o777


def test_file_is_replaced_atomically(tmp_path: Path) -> None:
    replace_file(tmp_path / "token", "old")
    with (tmp_path / "token").open() as reader:
        replace_file(tmp_path / "token", "new")

        assert reader.read() == "old"
    assert (tmp_path / "token").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["token"]
