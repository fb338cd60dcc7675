"""Answers a hostile review as the webhook's app does, and measures its memory in a process of its own.

As a program, it reads lines of a case's name, the path of a body and the path of the webhook, and prints how many bytes
the peak of the resident memory grew. Each review runs in a fork, which has no free memory from earlier ones.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from injector.decision.allowed_roles import CACHED_ANNOTATIONS
from injector.errors import ReviewError
from injector.k8s.objects import Metadata
from injector.patch.template import load_template
from injector.webhook.admission_review import AdmissionReview, TooLargeReviewError, parse_review
from injector.webhook.app import WEBHOOK_PATH, WORKLOAD_PATH
from injector.webhook.handler import Admission
from injector.webhook.workload_review import WorkloadReview
from injector.webhook.workload_warnings import WorkloadReviewer
from testing.cases import CONFIG, ENABLED, load_review
from testing.repository import ROOT
from tests.unit.injector.hostile_pods import ALLOW_LISTS, HOSTILE, Hostile

HEAD = load_review("pod-create-replicaset")
LARGEST_ALLOW_LISTS = (
    "permitted-ten-unicode-classes",
    "permitted-not-words",
    "permitted-optional-dots",
    "permitted-repeated-choices",
    "permitted-optional-letters",
    "regexps-regexps-below-the-limit",
)
"""Those that take the most memory when they are compiled."""

RESET_PEAK = "5"


class Cluster(NamedTuple):
    """One namespace with one ServiceAccount."""

    found_namespace: Metadata
    found_account: Metadata

    def namespace(self, _name: str) -> Metadata:
        return self.found_namespace

    def service_account(self, _namespace: str, _name: str) -> Metadata:
        return self.found_account

    def version(self) -> None:
        """Unknown."""

    def is_cached(self, _namespace: str, _service_account: str) -> bool:
        return True


def build_admission(case: Hostile) -> Admission:
    config = CONFIG._replace(**case.config)
    cluster = Cluster(Metadata(ENABLED.labels, case.namespace), Metadata({}, case.service_account))
    return Admission(config, cluster, load_template(config))


def build_body(case: Hostile) -> bytes:
    """The review as the API server sends it: it does not escape characters."""
    sent = {**HEAD, "request": {**HEAD["request"], "object": case.pod()}}
    return json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")


def review(admission: Admission, body: bytes) -> tuple[AdmissionReview | None, bytes]:
    """What the app does with a request. None: it is rejected."""
    try:
        answer, entry = admission.answer(parse_review(body))
    except TooLargeReviewError as error:
        answer, entry = admission.deny(error.review, error.explanation)
    except ReviewError as error:
        return None, str(error).encode()
    admission.log_and_count(entry)
    return answer, orjson.dumps(answer)


def build_workload_body(case: Hostile) -> bytes:
    """The review of a Deployment whose pods are those of the case; its template is changed."""
    pod = case.pod()
    workload = {"metadata": pod.get("metadata"), "spec": {"template": pod}}
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    old: dict[str, Any] = {"metadata": {}, "spec": {"template": {"spec": {"containers": []}}}}
    request = {**HEAD["request"], "kind": kind, "operation": "UPDATE", "object": workload, "oldObject": old}
    return json.dumps({**HEAD, "request": request}, ensure_ascii=False, separators=(",", ":")).encode(
        errors="surrogatepass"
    )


def build_reviewer(case: Hostile) -> WorkloadReviewer:
    admission = build_admission(case)
    return WorkloadReviewer(admission.config, admission.cluster, admission.template)


def review_workload(reviewer: WorkloadReviewer, body: bytes) -> tuple[AdmissionReview | None, bytes]:
    """What the app does with a request. None: it is rejected."""
    try:
        parsed = reviewer.parse(body)
        answer = reviewer.answer(parsed) if isinstance(parsed, WorkloadReview) else parsed
    except ReviewError as error:
        return None, str(error).encode()
    return answer, orjson.dumps(answer)


class MemoryProbe:
    """A running process of this module."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.injector.reviewing"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.communicate()

    def measure(self, name: str, body: Path, path: str = WEBHOOK_PATH) -> int:
        """How many bytes the peak of a process grows while it answers the review at this path."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{name}\t{body}\t{path}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def read_kib(field: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{field}:")[2].split(maxsplit=1)[0])


def measure_peak(answer: Callable[[bytes], object], body: bytes) -> int:
    """Answer the review; return the growth of the peak of this process in bytes."""
    Path("/proc/self/clear_refs").write_text(RESET_PEAK, encoding="ascii")
    before = read_kib("VmHWM")
    answer(body)
    return (read_kib("VmHWM") - before) * 1024


def measure_cached_allow_lists() -> int:
    """Decide about pods of many namespaces with different allow-lists; return the growth of the peak in bytes."""
    before = read_kib("VmHWM")
    for case in (ALLOW_LISTS[name] for name in LARGEST_ALLOW_LISTS):
        body = build_body(case)
        for number in range(CACHED_ANNOTATIONS):
            lists = {key: value + " " * number for key, value in case.namespace.items()}
            review(build_admission(case._replace(namespace=lists)), body)
    return (read_kib("VmHWM") - before) * 1024


def serve() -> None:
    for line in sys.stdin:
        name, path, webhook = line.rstrip("\n").split("\t")
        answer: Callable[[bytes], object] = partial(review, build_admission(HOSTILE[name]))
        if webhook == WORKLOAD_PATH:
            answer = partial(review_workload, build_reviewer(HOSTILE[name]))
        if os.fork() == 0:
            sys.stdout.write(f"{measure_peak(answer, Path(path).read_bytes())}\n")
            sys.stdout.flush()
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    serve()
