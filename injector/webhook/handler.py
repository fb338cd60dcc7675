"""Answers reviews: looks up namespace and ServiceAccount, decides, builds the patch. Any error denies the pod."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from contract.text import quote
from injector.config import Config
from injector.decision.context import ClusterContext
from injector.decision.decide import decide
from injector.decision.outcomes import Block, Decision, Deny, Inject, Outcome, Skip
from injector.errors import ClusterError, ObjectTooLargeError, ReviewError
from injector.explanations import limit_explanations
from injector.k8s.objects import read_owner, read_pod_name
from injector.k8s.reader import MetadataReader, Reservation
from injector.patch.json_patch import build_operations
from injector.patch.plan import plan_injection
from injector.patch.template import Template
from injector.reasons import Explanation, Reason, TooLargePodError
from injector.webhook.admission_review import AdmissionReview, Review, build_allowed, build_denied
from injector.webhook.decision_log import DecisionLogEntry, log
from injector.webhook.messages import MAX_NAME, build_message, build_warnings
from server.log_limit import LimitedLog, LogLimit, find_place

LOG = logging.getLogger("podrole.admission")


@dataclass(frozen=True, slots=True)
class Fail:
    """No decision was possible. The pod is denied, because it would start with the node's role."""

    outcome: ClassVar[Outcome] = Outcome.FAIL
    explanations: tuple[Explanation, ...]


def _log_failed_reads(_reason: str, count: int, detail: str) -> None:
    LOG.warning("%d reviews failed as objects of the cluster could not be read. The last one: %s", count, detail)


@dataclass(frozen=True, slots=True)
class Admission:
    """The admission handler."""

    config: Config
    cluster: MetadataReader
    template: Template
    count: Callable[[DecisionLogEntry], None] = lambda _entry: None
    """Called for each answered review."""

    reserve_reads: Callable[[str], Reservation] | None = None
    """Bounds the reviews of a namespace that wait for reads; None: they never wait."""

    log_failed_read: LimitedLog = field(default_factory=partial(LimitedLog, _log_failed_reads))
    """In an outage every review fails, and each has its line of the decision log."""

    clock: Callable[[], float] = time.monotonic
    error_limit: LogLimit = field(default_factory=LogLimit)
    """Of tracebacks: a bug can fail every review."""

    def is_nonblocking(self, review: Review) -> bool:
        """Whether the review can be answered from the cache, without a request to the API server."""
        if not review.is_pod_creation:
            return True
        return self.cluster.is_cached(review.namespace, review.service_account)

    def reserve(self, review: Review) -> Reservation:
        """Let a review wait for reads; raise TooManyReadsError where too many wait already."""
        if self.reserve_reads is None:
            return Reservation(self.cluster, lambda: None)
        return self.reserve_reads(review.namespace)

    def answer(self, review: Review, reader: MetadataReader | None = None) -> tuple[AdmissionReview, DecisionLogEntry]:
        """Answer one review. Pass the entry to `log_and_count` after sending the response: no pod waits for it.

        `reader` is that of the review's reservation, if it has one.
        """
        began = time.perf_counter()
        decision, answer = self._answer(review, reader or self.cluster)
        return answer, _build_log_entry(review, decision, time.perf_counter() - began)

    def deny(self, review: Review, explanation: Explanation) -> tuple[AdmissionReview, DecisionLogEntry]:
        """Answer a review whose pod is too large to be decided about."""
        decision = Deny((explanation,))
        return _deny(review, decision), _build_log_entry(review, decision, seconds=0)

    def log_and_count(self, entry: DecisionLogEntry) -> None:
        """Log and count one answer."""
        log(entry)
        self.count(entry)

    def _answer(self, review: Review, reader: MetadataReader) -> tuple[Decision | Fail, AdmissionReview]:
        try:
            decision = self._decide(review, reader)
            return decision, self._build_patch(decision, review)
        except ReviewError:
            raise
        except ObjectTooLargeError as error:
            denial = Deny((Reason.OBJECT_TOO_LARGE.explain(problem=str(error)),))
            return denial, _deny(review, denial)
        except TooLargePodError as error:
            denial = Deny((error.explanation,))
            return denial, _deny(review, denial)
        except ClusterError as error:
            self.log_failed_read(Reason.CLUSTER_READ_FAILED.code, f"{review.uid}: {error}")
            failure = Fail((Reason.CLUSTER_READ_FAILED.explain(problem=str(error)),))
        except Exception as error:  # noqa: BLE001 - a bug must not allow a pod
            self._log_bug(review, error)
            failure = Fail((Reason.INTERNAL_ERROR.explain(uid=review.uid),))
        return failure, _deny(review, failure)

    def _log_bug(self, review: Review, error: Exception) -> None:
        count = self.error_limit.count(find_place(error), self.clock())
        if count is not None:
            LOG.error("%s failed (%d reviews since the last line of this error)", review.uid, count, exc_info=error)

    def _decide(self, review: Review, reader: MetadataReader) -> Decision:
        if not review.is_pod_creation:
            return Skip(Reason.NOT_A_POD_CREATION)
        namespace = reader.namespace(review.namespace)
        if namespace is None:  # its accounts are not read: the pod is denied
            return decide(review.pod, ClusterContext(None, None, reader.version()), self.config)
        account = reader.service_account(review.namespace, review.service_account)
        return decide(review.pod, ClusterContext(namespace, account, reader.version()), self.config)

    def _build_patch(self, decision: Decision, review: Review) -> AdmissionReview:
        match decision:
            case Deny():
                return _deny(review, decision)
            case Skip():
                return build_allowed(review.uid, [], build_warnings(decision.warnings), _audit(decision.reason))
            case Inject() | Block():
                plan = plan_injection(decision, review.pod, self.template, self.config)
                operations, warnings = build_operations(review.pod, plan), build_warnings(plan.warnings)
                return build_allowed(review.uid, operations, warnings, _audit(decision.reason))


def _deny(review: Review, decision: Deny | Fail) -> AdmissionReview:
    pod = f"{review.namespace}/{quote(read_pod_name(review.pod), MAX_NAME)}" if review.namespace else ""
    warnings = decision.warnings if isinstance(decision, Deny) else ()
    message = build_message(pod, review.uid, limit_explanations((*decision.explanations, *warnings)))
    return build_denied(review.uid, message, _audit(*_find_reasons(decision)))


def _find_reasons(decision: Decision | Fail) -> tuple[Reason, ...]:
    if isinstance(decision, Deny | Fail):
        reasons = (explanation.reason for explanation in decision.explanations)
        return tuple(dict.fromkeys(reason for reason in reasons if reason is not Reason.MORE))
    return (decision.reason,)


def _audit(*reasons: Reason) -> dict[str, str]:
    return {"reason": ",".join(reason.code for reason in reasons)}


def _build_log_entry(review: Review, decision: Decision | Fail, seconds: float) -> DecisionLogEntry:
    owner = read_owner(review.pod)
    return DecisionLogEntry(
        uid=review.uid,
        namespace=review.namespace,
        pod=quote(read_pod_name(review.pod), MAX_NAME),
        owner=quote(owner, MAX_NAME) if owner else None,
        service_account=review.service_account,
        outcome=decision.outcome,
        mode=decision.mode if isinstance(decision, Inject) else None,
        role=decision.role_arn if isinstance(decision, Inject | Deny) else None,
        reasons=tuple(reason.code for reason in _find_reasons(decision)),
        seconds=seconds,
    )
