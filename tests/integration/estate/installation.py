"""podrole installed from its manifests on a cluster without nodes: the webhook's process runs on this machine."""

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trustme
import yaml
from click.testing import CliRunner, Result

from testing.cases import ENVIRON
from testing.cluster.api import ApiServer, wait_for
from testing.cluster.manifests import KUSTOMIZE, Kubectl
from testing.estate import NAMESPACES, build_estate
from testing.repository import ROOT
from tests.integration.api_server.webhooks import Injector, run_injector
from tests.integration.node.conftest import fill_in

WEBHOOK = "podrole-injector"
OVERLAY = Path("overlays/self-hosted-oidc")
IMAGES = {"injector": "localhost/podrole-injector:0.1.0", "sidecar": ENVIRON["PODROLE_SIDECAR_IMAGE"]}
WITHIN_SECONDS = 120


STOP = "kubectl -n podrole-system scale deployment/podrole-injector --replicas=0"
START = "kubectl -n podrole-system scale deployment/podrole-injector --replicas=2"
APPLY = "kubectl apply -k overlays/mine"
"""Commands that the tests replace, as no kubelet runs the injector here."""


@dataclass(frozen=True)
class EstateCluster:
    """A cluster with podrole and the estate."""

    api: ApiServer
    kubectl: Kubectl
    injector: Injector
    overlay: Path

    def run(self, command: str) -> Result:
        """Run a podrole command as a user without any of podrole's variables, in a process of its own."""
        words = command.split()
        assert words[0] == "podrole"
        environ = {"PATH": os.defpath, "KUBECONFIG": self.api.kubeconfig}
        argv = [sys.executable, "-m", "podrole", *words[1:]]
        done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, check=False, timeout=120)
        output = done.stdout + done.stderr
        return Result(CliRunner(), done.stdout, done.stderr, output, None, done.returncode, None)

    def execute(self, lines: Sequence[str]) -> None:
        """Execute lines of a shell, each of which must succeed."""
        actions = {STOP: self.injector.stop, START: self.injector.start, APPLY: self.apply}
        environ = {
            "PATH": f"{Path(self.kubectl.program).parent}:{os.defpath}",
            "HOME": str(self.kubectl.home),
            "KUBECONFIG": self.api.kubeconfig,
            "OTHER_CA": base64.b64encode(trustme.CA().cert_pem.bytes()).decode(),
        }
        for line in lines:
            if line in actions:
                actions[line]()
            else:
                wait_for(line, partial(_execute, line, environ))

    def apply(self) -> None:
        """Apply the overlay, and call the process on this machine instead of podrole's Service."""
        self.kubectl.run("delete", "mutatingwebhookconfiguration", WEBHOOK, "--ignore-not-found")
        self.kubectl.run("apply", "-k", str(self.overlay))
        configuration = self.api.read("MutatingWebhookConfiguration", WEBHOOK)
        ca = base64.b64encode(self.injector.certificates.ca.read_bytes()).decode()
        address = self.injector.url.rpartition("/")[0]
        for webhook in configuration["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {"url": f"{address}{path}", "caBundle": ca}
        self.api.replace(configuration)


@contextmanager
def install(api: ApiServer, kubectl: Kubectl, directory: Path) -> Iterator[EstateCluster]:
    """Run the webhook on this machine and apply an overlay that calls it, until the block ends."""
    overlay = copy_overlay(directory)
    with run_injector(directory, {**ENVIRON, "KUBECONFIG": api.kubeconfig}) as injector:
        cluster = EstateCluster(api, kubectl, injector, overlay)
        cluster.apply()
        yield cluster


def copy_overlay(directory: Path) -> Path:
    """Copy the manifests, and set the tests' settings in an overlay."""
    copy = directory / "kustomize"
    shutil.copytree(KUSTOMIZE, copy)
    overlay = copy / OVERLAY
    settings = {key: value for key, value in ENVIRON.items() if key != "PODROLE_SIDECAR_IMAGE"}
    fill_in(overlay / "settings.env", **settings)
    fill_in(overlay / "images.env", **IMAGES)
    return overlay


def delete_estate(kubectl: Kubectl) -> None:
    """Delete all of it that there is, and wait for the end of its pods."""
    kubectl.run("delete", "namespaces", *NAMESPACES, "--ignore-not-found")


def apply_estate(kubectl: Kubectl) -> None:
    """Apply all of it, and wait for the namespaces' ServiceAccounts. Pods of controllers follow."""
    manifests = build_estate()
    first = [each for each in manifests if each["kind"] in {"Namespace", "ServiceAccount"}]
    kubectl.run("apply", "-f", "-", stdin=yaml.safe_dump_all(first))
    for namespace in NAMESPACES:
        read = f"--namespace={namespace}", "get", "serviceaccount", "default"
        wait_for(f"the account of {namespace}", partial(_succeeds, kubectl, *read))
    kubectl.run("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))


def _succeeds(kubectl: Kubectl, *arguments: str) -> bool:
    return kubectl.try_run(*arguments).code == 0


def _execute(line: str, environ: Mapping[str, str]) -> bool:
    """Execute a line; return False if it must be repeated. kubectl restarts a workload only once in a second."""
    shell = ["bash", "-c", line]
    done = subprocess.run(shell, env=environ, capture_output=True, text=True, timeout=WITHIN_SECONDS, check=False)
    if "within the past second" in done.stderr:
        return False
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return True
