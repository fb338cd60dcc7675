"""A pod's volumes as folders on the node, which are bind-mounted into containers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testing.pods.environment import build_field
from testing.pods.errors import PodError

API_SERVER_AUDIENCE = "https://kubernetes.default.svc.cluster.local"
DEFAULT_EXPIRATION_SECONDS = 3600
"""The API server's defaults for a serviceAccountToken source."""


def refuse_token(audience: str, expiration_seconds: int) -> str:
    """The token source if the caller gave none."""
    raise PodError(f"a token for {audience} ({expiration_seconds} s) is requested: pass `token` to create it")


@dataclass(frozen=True)
class VolumeSources:
    """The sources of volume contents, as the API server provides them."""

    pod: Mapping[str, Any]
    token: Callable[[str, int], str] = refuse_token
    """(audience, seconds) -> a ServiceAccount token."""
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def write_volume(volume: Mapping[str, Any], directory: Path, sources: VolumeSources) -> None:
    """Create the volume's folder and files."""
    directory.mkdir(parents=True)
    if "emptyDir" in volume:
        directory.chmod(0o777)  # as the kubelet does: every uid of the pod can write
        return
    for path, text in build_files(volume, sources):
        replace_file(directory / path, text)


def build_files(volume: Mapping[str, Any], sources: VolumeSources) -> Iterator[tuple[str, str]]:
    """The relative path and text of each file of a projected, configMap or downwardAPI volume."""
    projected = volume.get("projected")
    for source in projected["sources"] if projected else [volume]:
        kind = next((kind for kind in SOURCES if kind in source), None)
        if kind is None:
            names = ", ".join(key for key in source if key != "name")
            supported = ", ".join(["emptyDir", "projected", *SOURCES])
            raise PodError(f"volume {volume['name']}: {names} is not supported here; supported: {supported}")
        yield from SOURCES[kind](source[kind], sources)


def replace_file(path: Path, text: str) -> None:
    """Replace a file atomically, as the kubelet does with tokens: readers see the old or the new text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"..{path.name}")
    new.write_text(text)
    # Readable by every uid of the pod: the kubelet's mode if the containers' uids differ.
    new.chmod(0o644)
    new.replace(path)


def _token_files(source: Mapping[str, Any], sources: VolumeSources) -> Iterator[tuple[str, str]]:
    audience = source.get("audience") or API_SERVER_AUDIENCE
    yield source["path"], sources.token(audience, source.get("expirationSeconds") or DEFAULT_EXPIRATION_SECONDS)


def _config_map_files(source: Mapping[str, Any], sources: VolumeSources) -> Iterator[tuple[str, str]]:
    name = source["name"]
    data = sources.config_maps.get(name)
    if data is None:
        if source.get("optional"):
            return
        raise PodError(f"ConfigMap {name} does not exist: pass it in `config_maps`")
    items = source.get("items")
    wanted = {item["key"]: item["path"] for item in items} if items else {key: key for key in data}
    for key, path in wanted.items():
        if key not in data:
            raise PodError(f"ConfigMap {name} has no key {key}; it has: {', '.join(data)}")
        yield path, data[key]


def _downward_files(source: Mapping[str, Any], sources: VolumeSources) -> Iterator[tuple[str, str]]:
    for item in source.get("items") or []:
        if "fieldRef" not in item:
            raise PodError(f"downwardAPI item {item['path']}: only fieldRef is supported")
        yield item["path"], build_field(item["fieldRef"]["fieldPath"], sources.pod)


SOURCES = {
    "serviceAccountToken": _token_files,
    "configMap": _config_map_files,
    "downwardAPI": _downward_files,
}
