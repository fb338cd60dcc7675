"""Answers reviews of workloads with the denial and the warnings that their pods would meet. It never denies one.

Nothing here may delay the review of a pod: the CPU time has a budget, few reviews wait for reads and only for a second,
and none has a line in the log. A review that exceeds a limit is answered without warnings.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from contract.text import quote
from injector.config import Config
from injector.decision.context import ClusterContext
from injector.decision.decide import decide
from injector.decision.outcomes import Block, Deny, Inject
from injector.decision.unknown_annotations import find_workload_keys
from injector.errors import ClusterError, ObjectTooLargeError, ReviewError
from injector.k8s.objects import read_spec
from injector.k8s.reader import MetadataReader, Reservation
from injector.patch.plan import plan_injection
from injector.patch.template import Template
from injector.reasons import Explanation, Reason, TooLargePodError
from injector.webhook.admission_review import AdmissionReview, build_allowed, count_containers
from injector.webhook.cpu_budget import CpuBudget
from injector.webhook.messages import MAX_NAME, build_workload_warnings
from injector.webhook.review_limits import MAX_CONTAINERS, MAX_PARSED_BYTES, estimate_parsed_bytes, find_uid
from injector.webhook.workload_review import WorkloadReview, parse_workload_review
from server.log_limit import LogLimit, find_place

LOG = logging.getLogger("podrole.admission")


class WorkloadOutcome(StrEnum):
    """The result of a review, as a label of the metric."""

    UNCHANGED = "unchanged"
    """The pod template is the one that it was, or there is none."""

    NO_WARNINGS = "no-warnings"
    WARNINGS = "warnings"
    WOULD_DENY = "would-deny"
    NOT_DECIDED = "not-decided"
    """A limit was reached, a read failed, or the ServiceAccount does not exist yet."""


class _Findings(NamedTuple):
    outcome: WorkloadOutcome
    denials: Sequence[Explanation] = ()
    warnings: Sequence[Explanation] = ()


@dataclass(frozen=True, slots=True)
class WorkloadReviewer:
    """The handler of the webhook workloads.podrole.io."""

    config: Config
    cluster: MetadataReader
    template: Template
    count: Callable[[WorkloadOutcome], None] = lambda _outcome: None
    reserve_reads: Callable[[str], Reservation | None] = lambda _namespace: None
    """Lets a review of a namespace wait for reads; None where others wait already."""

    budget: CpuBudget = field(default_factory=CpuBudget)
    clock: Callable[[], float] = time.monotonic
    error_limit: LogLimit = field(default_factory=LogLimit)

    def parse(self, body: bytes) -> WorkloadReview | AdmissionReview:
        """Parse a review; answer one that exceeds a limit. Raises ReviewError."""
        if self.budget.is_left():
            with self._spending():
                if estimate_parsed_bytes(body) <= MAX_PARSED_BYTES:
                    return parse_workload_review(body)
        if not (uid := find_uid(body)):
            raise ReviewError("the review has no uid, or is too large to be parsed")
        return self.give_up(uid)

    def is_nonblocking(self, review: WorkloadReview) -> bool:
        """Whether the review can be answered without a request to the API server."""
        if not review.is_template_changed:
            return True
        try:
            return self.cluster.is_cached(review.namespace, review.service_account)
        except ClusterError:
            return True  # so is the answer

    def give_up(self, uid: str) -> AdmissionReview:
        """Answer without a decision."""
        self.count(WorkloadOutcome.NOT_DECIDED)
        return build_allowed(uid)

    def answer(self, review: WorkloadReview, reader: MetadataReader | None = None) -> AdmissionReview:
        """Answer one review; `reader` is that of its reservation, if it has one."""
        with self._spending():
            findings = self._find(review, reader or self.cluster)
            keys = tuple(_find_keys(review))
            subject = f"{review.kind} {quote(review.name, MAX_NAME)}"
            texts = build_workload_warnings(subject, findings.denials, (*findings.warnings, *keys))
        is_silent = findings.outcome in {WorkloadOutcome.NO_WARNINGS, WorkloadOutcome.UNCHANGED}
        self.count(WorkloadOutcome.WARNINGS if is_silent and texts else findings.outcome)
        return build_allowed(review.uid, warnings=texts)

    def _find(self, review: WorkloadReview, reader: MetadataReader) -> _Findings:
        if not review.is_template_changed:
            return _Findings(WorkloadOutcome.UNCHANGED)
        try:
            return self._decide(review, reader)
        except ReviewError:
            raise
        except ObjectTooLargeError as error:
            return _deny(Reason.OBJECT_TOO_LARGE.explain(problem=str(error)))
        except TooLargePodError as error:
            return _deny(error.explanation)
        except ClusterError:  # reviews of pods log it
            return _Findings(WorkloadOutcome.NOT_DECIDED)
        except Exception as error:
            if count := self.error_limit.count(find_place(error), self.clock()):
                message = "%s, a workload's, failed (%d reviews since the last line of this error)"
                LOG.exception(message, review.uid, count)
            return _Findings(WorkloadOutcome.NOT_DECIDED)

    def _decide(self, review: WorkloadReview, reader: MetadataReader) -> _Findings:
        if (count := count_containers(read_spec(review.pod))) > MAX_CONTAINERS:
            return _deny(Reason.TOO_MANY_CONTAINERS.explain(count=str(count), maximum=str(MAX_CONTAINERS)))
        namespace = reader.namespace(review.namespace)
        account = reader.service_account(review.namespace, review.service_account) if namespace else None
        if namespace is None or account is None:  # both can follow in the same `kubectl apply`
            return _Findings(WorkloadOutcome.NOT_DECIDED)
        decision = decide(review.pod, ClusterContext(namespace, account, reader.version()), self.config)
        match decision:
            case Deny():
                return _Findings(WorkloadOutcome.WOULD_DENY, decision.explanations, decision.warnings)
            case Inject() | Block():
                plan = plan_injection(decision, review.pod, self.template, self.config)
                return _Findings(WorkloadOutcome.NO_WARNINGS, (), plan.warnings)
            case _:
                return _Findings(WorkloadOutcome.NO_WARNINGS, (), decision.warnings)

    @contextmanager
    def _spending(self) -> Iterator[None]:
        began = time.thread_time()
        try:
            yield
        finally:
            self.budget.spend(time.thread_time() - began)


def _deny(explanation: Explanation) -> _Findings:
    return _Findings(WorkloadOutcome.WOULD_DENY, (explanation,))


def _find_keys(review: WorkloadReview) -> Iterator[Explanation]:
    """Explain the keys of the workload's own metadata that belong to its pods."""
    if review.kind:
        path = f"its pod template ({review.path}.metadata)"
        yield from find_workload_keys({"metadata": review.metadata}, review.kind, review.pod, path)
