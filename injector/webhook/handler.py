"""Review in, review out: looks up what a decision needs, decides, plans, patches. An error never lets a pod in."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from injector.config import Config
from injector.decision.context import Surroundings
from injector.decision.decide import decide
from injector.decision.outcomes import Block, Decision, Deny, Inject, Skip
from injector.errors import ClusterError, ReviewError
from injector.k8s.objects import read_owner, read_pod_name, read_service_account_name
from injector.k8s.reader import Cluster
from injector.patch.json_patch import build_operations
from injector.patch.plan import build_pieces
from injector.patch.template import Template
from injector.reasons import Explanation, Reason
from injector.webhook.admission_review import AdmissionReview, Review, build_allowed, build_denied
from injector.webhook.decision_log import Record, log

LOG = logging.getLogger("podrole.admission")


@dataclass(frozen=True, slots=True)
class Fail:
    """No decision was possible, so the pod is denied: allowed, it would start with the node's role."""

    explanations: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class Admission:
    """Answers reviews."""

    config: Config
    cluster: Cluster
    template: Template
    count: Callable[[Record], None] = lambda _record: None
    """Told of each answer."""

    def is_immediate(self, review: Review) -> bool:
        """Whether the answer needs nothing that would have to be waited for."""
        if not review.is_pod_creation:
            return True
        return self.cluster.is_known(review.namespace, read_service_account_name(review.pod))

    def answer(self, review: Review) -> tuple[AdmissionReview, Record]:
        """Answer one review. The record is for `tell`, when the answer is on its way: a pod's creation waits for it."""
        began = time.perf_counter()
        decision, answer = self._answer(review)
        return answer, _build_record(review, decision, time.perf_counter() - began)

    def tell(self, record: Record) -> None:
        """Log and count one answer."""
        log(record)
        self.count(record)

    def _answer(self, review: Review) -> tuple[Decision | Fail, AdmissionReview]:
        try:
            decision = self._decide(review)
            return decision, self._carry_out(decision, review)
        except ReviewError:
            raise
        except ClusterError as error:
            LOG.exception("%s failed", review.uid)
            failure = Fail((Reason.CLUSTER_UNREADABLE.explain(problem=str(error)),))
        except Exception:
            LOG.exception("%s failed", review.uid)
            failure = Fail((Reason.INTERNAL_ERROR.explain(uid=review.uid),))
        return failure, _deny(review, failure)

    def _decide(self, review: Review) -> Decision:
        if not review.is_pod_creation:
            return Skip(Reason.NOT_A_POD_CREATION)
        namespace = self.cluster.namespace(review.namespace)
        account = self.cluster.service_account(review.namespace, read_service_account_name(review.pod))
        return decide(review.pod, Surroundings(namespace, account, self.cluster.version()), self.config)

    def _carry_out(self, decision: Decision, review: Review) -> AdmissionReview:
        match decision:
            case Deny():
                return _deny(review, decision)
            case Skip():
                texts = [warning.text for warning in decision.warnings]
                return build_allowed(review.uid, [], texts, _audit(decision.reason))
            case Inject() | Block():
                pieces = build_pieces(decision, review.pod, self.template, self.config)
                texts = [warning.text for warning in pieces.warnings]
                return build_allowed(review.uid, build_operations(review.pod, pieces), texts, _audit(decision.reason))


def _deny(review: Review, decision: Deny | Fail) -> AdmissionReview:
    texts = " ".join(f"[{explanation.reason.code}] {explanation.text}" for explanation in decision.explanations)
    message = f"pod {review.namespace}/{read_pod_name(review.pod)} (request {review.uid}): {texts}"
    return build_denied(review.uid, message, _audit(*_find_reasons(decision)))


def _find_reasons(decision: Decision | Fail) -> tuple[Reason, ...]:
    if isinstance(decision, Deny | Fail):
        return tuple(explanation.reason for explanation in decision.explanations)
    return (decision.reason,)


def _audit(*reasons: Reason) -> dict[str, str]:
    return {"reason": ",".join(reason.code for reason in reasons)}


def _build_record(review: Review, decision: Decision | Fail, seconds: float) -> Record:
    return Record(
        uid=review.uid,
        namespace=review.namespace,
        pod=read_pod_name(review.pod),
        owner=read_owner(review.pod),
        outcome=type(decision).__name__,
        mode=decision.mode if isinstance(decision, Inject) else None,
        reasons=tuple(reason.code for reason in _find_reasons(decision)),
        seconds=seconds,
    )
