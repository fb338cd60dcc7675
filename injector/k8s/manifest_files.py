"""Reads namespaces and ServiceAccounts from manifests instead of a cluster, for the command line and the demo."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from injector.errors import ConfigError, ReviewError
from injector.k8s.objects import EMPTY_METADATA, Metadata, parse_metadata, read_mapping, read_objects

SUFFIXES = {".yaml", ".yml", ".json"}


class ManifestReader:
    """A MetadataReader of files. An object without a namespace is in `default`, as for kubectl."""

    def __init__(self, *paths: Path) -> None:
        self._namespaces: dict[str, Metadata] = {}
        self._service_accounts: dict[tuple[str, str], Metadata] = {}
        for path in _find_files(paths):
            try:
                for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                    self.add(document)
            except (OSError, ValueError, yaml.YAMLError, ReviewError) as error:
                raise ConfigError(f"the manifests in {path} cannot be read: {error}") from error

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations, or None if there is no such namespace."""
        return self._namespaces.get(name)

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations, or None if there is no such account."""
        return self._service_accounts.get((namespace, name))

    def version(self) -> None:
        """None: the manifests do not contain the API server's version."""

    def is_cached(self, namespace: str, service_account: str) -> bool:  # noqa: ARG002 - the interface's
        """True: all files have been read."""
        return True

    def add(self, document: Any, default_namespace: str = "default") -> None:
        """Add one manifest. Raises ObjectError."""
        if not isinstance(document, dict):
            return
        metadata = read_mapping(document, "metadata")
        match document.get("kind"):
            case "List":
                for item in read_objects(document, "items"):
                    self.add(item, default_namespace)
            case "Namespace":
                self._namespaces[str(metadata.get("name"))] = parse_metadata(document)
            case "ServiceAccount":
                key = (str(metadata.get("namespace") or default_namespace), str(metadata.get("name")))
                self._service_accounts[key] = parse_metadata(document)
            case _:
                pass


class ManifestCluster(ManifestReader):
    """A cluster for the webhook. A ServiceAccount that is not in the files exists, without annotations."""

    def service_account(self, namespace: str, name: str) -> Metadata:
        """A ServiceAccount's labels and annotations."""
        return super().service_account(namespace, name) or EMPTY_METADATA


def _find_files(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise ConfigError(f"there are no manifests at {path}")
        yield from sorted(file for file in path.iterdir() if file.suffix in SUFFIXES) if path.is_dir() else (path,)
