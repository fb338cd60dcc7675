"""Creates the namespaces of one test, and deletes them after it."""

import uuid
from collections.abc import Mapping
from typing import Any, Self

from testing.cluster.api import ApiServer, RefusedError, wait_for

ENABLED = {"podrole.io/injection": "enabled"}


class Namespaces:
    """Creates namespaces, and deletes all of them at the end of the block."""

    def __init__(self, api: ApiServer, run_label: Mapping[str, str], *, has_controllers: bool = True) -> None:
        self._api = api
        self._run_label = run_label
        self._has_controllers = has_controllers
        self._names: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names:
            self._api.delete("Namespace", name)

    def make(self, labels: Mapping[str, str] = ENABLED, annotations: Mapping[str, str] | None = None) -> str:
        """Create a namespace, and wait until pods can be created in it."""
        name = f"podrole-{uuid.uuid4().hex[:12]}"
        metadata = {"name": name, "labels": {**self._run_label, **labels}, "annotations": dict(annotations or {})}
        self._api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self._names.append(name)
        if not self._has_controllers:
            self._api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}, name)
        wait_for(f"the account of namespace {name}", lambda: self._find_account(name))
        return name

    def _find_account(self, namespace: str) -> dict[str, Any] | None:
        try:
            return self._api.read("ServiceAccount", "default", namespace)
        except RefusedError:
            return None
