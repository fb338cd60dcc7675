"""`python -m bench.webhook`: what a pod's creation waits for, over one TLS connection as the API server keeps it."""

import http.client
import json
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.measure import describe_durations, print_table, read_memory, time_each
from demo.admission import PATH, PORT, Webhook, webhook
from tests.injector.cases import ENVIRON, PODS, load_review

ADDRESS = "127.0.0.1"
REVIEW = "pod-create-replicaset"
ROLE = {"iam.amazonaws.com/role": "reader"}
NAMESPACE = "team-a"
REQUESTS = 2000
WARM_UP = 100


class Recorder:
    """Starts a process as subprocess.Popen does, and keeps it."""

    process: "subprocess.Popen[bytes]"

    def __call__(self, argv: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        """Start it."""
        self.process = subprocess.Popen(argv, **options)
        return self.process


def build_review() -> bytes:
    """The review of a Deployment's pod as an API server sent it, in a namespace of the tests and with a role."""
    review = load_review(REVIEW)
    review["request"]["namespace"] = review["request"]["object"]["metadata"]["namespace"] = NAMESPACE
    review["request"]["object"]["metadata"]["annotations"] = ROLE
    return json.dumps(review, separators=(",", ":")).encode()


def connect(running: Webhook, review: bytes) -> Callable[[], None]:
    """A call that posts the review on one connection, and fails where no patch comes back."""
    context = ssl.create_default_context(cafile=running.certificates.ca)
    connection = http.client.HTTPSConnection(ADDRESS, PORT, timeout=5, context=context)

    def post() -> None:
        connection.request("POST", PATH, body=review, headers={"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        if not answer["response"].get("patch"):
            raise SystemExit(f"the pod was not injected: {answer}")

    return post


def main() -> None:
    """Measure and print."""
    review, start = build_review(), Recorder()
    settings = ENVIRON | {"PODROLE_MANIFESTS": str(PODS)}
    with (
        tempfile.TemporaryDirectory() as directory,
        webhook(Path(directory), ADDRESS, settings, popen=start, run=subprocess.run) as running,
    ):
        post = connect(running, review)
        time_each(WARM_UP, post)
        durations = time_each(REQUESTS, post)
        memory = read_memory(start.process.pid)
    print_table(
        "webhook",
        [
            (f"POST {PATH} of {len(review)} bytes, {REQUESTS} times", describe_durations(durations)),
            (f"memory after {REQUESTS} requests", f"PSS {memory['Pss']:.1f}, anonymous {memory['Pss_Anon']:.1f} MiB"),
        ],
    )


if __name__ == "__main__":
    main()
