"""Renders overlays and kustomizations with kubectl, and finds objects in the result."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testing.repository import ROOT

Manifest = dict[str, Any]

KUSTOMIZE = ROOT / "kustomize"
BASE = KUSTOMIZE / "base"
OVERLAYS = sorted(path.name for path in (KUSTOMIZE / "overlays").iterdir())
SETTINGS = "podrole-settings"
WITHIN_SECONDS = 120


@dataclass(frozen=True)
class Answer:
    """Exit code and output of a kubectl command."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Kubectl:
    """kubectl with the kubeconfig of one cluster."""

    program: str
    kubeconfig: str
    home: Path
    """kubectl caches the discovery of the API here."""

    def try_run(self, *arguments: str, stdin: str = "") -> Answer:
        """Run it and return the result, whatever the exit code."""
        done = subprocess.run(
            [self.program, *arguments],
            env={"PATH": os.defpath, "HOME": str(self.home), "KUBECONFIG": self.kubeconfig},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=WITHIN_SECONDS,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def run(self, *arguments: str, stdin: str = "") -> Answer:
        """Run it; it must succeed."""
        answer = self.try_run(*arguments, stdin=stdin)
        assert answer.code == 0, f"kubectl {' '.join(arguments)}: {answer.errors}"
        return answer

    def render(self, folder: Path) -> list[Manifest]:
        """The objects that `kubectl apply -k` would send."""
        return list(yaml.safe_load_all(self.run("kustomize", str(folder)).output))


def write_kustomization(folder: Path, resources: Sequence[Path], components: Sequence[str] = (), **fields: Any) -> Path:
    """Write a kustomization of these parts. kustomize needs relative paths."""
    folder.mkdir(parents=True)
    content = {
        "resources": [os.path.relpath(path.resolve(), folder.resolve()) for path in resources],
        "components": [os.path.relpath(KUSTOMIZE / "components" / name, folder.resolve()) for name in components],
        **fields,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return folder


def find(manifests: Sequence[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The only object of this kind, or of this kind and name."""
    found = [each for each in manifests if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}, and name {name}"
    return found[0]


def find_settings(manifests: Sequence[Manifest]) -> Mapping[str, str]:
    """The injector's settings, from the ConfigMap whose name ends in a hash."""
    maps = [each for each in manifests if each["kind"] == "ConfigMap"]
    found = [each for each in maps if each["metadata"]["name"].startswith(f"{SETTINGS}-")]
    assert len(found) == 1
    settings: Mapping[str, str] = found[0].get("data") or {}
    return settings


def find_injector(manifests: Sequence[Manifest]) -> Manifest:
    """The injector's container."""
    container: Manifest = find(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return container


def find_environment(manifests: Sequence[Manifest]) -> dict[str, str]:
    """The literal environment variables of the injector's container."""
    return {each["name"]: each["value"] for each in find_injector(manifests)["env"] if "value" in each}
