"""Does what the API server does at a pod's creation: sends a review to the webhook and applies the patch."""

import base64
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

from testing.pods.errors import RunnerError
from testing.services.certificates import CertificateFiles, write_certificates
from testing.services.programs import Popen, Program, running

HERE = Path(__file__).parent
PORT = 9443
PATH = "/mutate"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Admitted:
    """The result for a pod."""

    pod: dict[str, Any]
    patch: Sequence[Mapping[str, Any]]
    warnings: Sequence[str]
    seconds: float
    """From the first byte of the request to the last of the response."""


@dataclass(frozen=True)
class Webhook:
    """A running injector."""

    address: str
    certificates: CertificateFiles
    run: Run

    @property
    def url(self) -> str:
        """The URL of the webhook."""
        return f"https://{self.address}:{PORT}{PATH}"

    def admit(self, pod: Mapping[str, Any]) -> Admitted:
        """Send the pod's review; raise RunnerError if the pod is denied."""
        argv = [sys.executable, "-I", str(HERE / "post.py"), self.address, str(PORT), f"{PATH}?timeout=5s"]
        review = json.dumps(build_review(pod))
        posted = self.run([*argv, str(self.certificates.ca)], text=review)
        status, seconds, answer = posted.stdout.split("\n", 2)
        if status != "200":
            raise RunnerError(f"the webhook answered {status}: {answer}")
        response = json.loads(answer)["response"]
        if not response["allowed"]:
            raise RunnerError(f"the webhook denies the pod: {response['status']['message']}")
        patch = json.loads(base64.b64decode(response.get("patch", "W10=")))
        patched = jsonpatch.JsonPatch(patch).apply(json.loads(review)["request"]["object"])
        return Admitted(patched, patch, response.get("warnings", []), float(seconds))


def build_review(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Build the AdmissionReview of a pod's creation."""
    review: dict[str, Any] = yaml.safe_load((HERE / "review.yaml").read_text())
    metadata = pod["metadata"]
    review["request"] |= {
        "uid": str(uuid.uuid4()),
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "object": dict(pod),
    }
    return review


@contextmanager
def webhook(
    directory: Path, address: str, settings: Mapping[str, str], *, popen: Popen = subprocess.Popen, run: Run
) -> Iterator[Webhook]:
    """Run the injector on this address with these PODROLE_* variables."""
    certificates = write_certificates(directory, [address])
    environ = {
        "PODROLE_WEBHOOK_HOST": address,
        "PODROLE_WEBHOOK_PORT": str(PORT),
        "PODROLE_TLS_CERT": str(certificates.certificate),
        "PODROLE_TLS_KEY": str(certificates.key),
        **settings,
    }
    with running(build_program(environ), directory, popen):
        yield Webhook(address, certificates, run)


def build_program(environ: Mapping[str, str]) -> Program:
    """Build the program that runs the injector with only this environment."""
    variables = [f"{key}={value}" for key, value in environ.items()]
    return Program(
        name="injector",
        argv=("env", "-C", str(HERE.parent), *variables, sys.executable, "-m", "injector"),
        ready=r"Listening at: https://[^\s\"]+:(\d+)",
        remedy="its log says what is wrong",
    )
