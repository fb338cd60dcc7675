"""Review in, review out: looks up what a decision needs, decides, plans, patches. An error never lets a pod in."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from injector.cluster import Cluster
from injector.config import Config
from injector.decision import Surroundings, decide
from injector.errors import ClusterError, ReviewError
from injector.objects import read_pod_name, read_service_account_name
from injector.operations import build_patch
from injector.outcomes import Decision, Deny, Skip
from injector.plan import build_pieces
from injector.reasons import Explanation, Reason
from injector.reviews import AdmissionReview, Review, build_allowed, build_denied
from injector.template import Template

LOG = logging.getLogger("podrole.admission")


@dataclass(frozen=True, slots=True)
class Admission:
    """Answers reviews."""

    config: Config
    cluster: Cluster
    template: Template

    def answer(self, review: Review) -> AdmissionReview:
        """Answer one review. Whatever fails, the answer denies: an allowed pod would start with the node's role."""
        try:
            return self._answer(review)
        except ReviewError:
            raise
        except ClusterError as error:
            LOG.exception("%s failed", review.uid)
            return _deny(review, [Reason.CLUSTER_UNREADABLE.explain(problem=str(error))])
        except Exception:
            LOG.exception("%s failed", review.uid)
            return _deny(review, [Reason.INTERNAL_ERROR.explain(uid=review.uid)])

    def _answer(self, review: Review) -> AdmissionReview:
        decision = self._decide(review)
        if isinstance(decision, Deny):
            return _deny(review, decision.explanations)
        if isinstance(decision, Skip):
            return _allow(review, decision)
        pieces = build_pieces(decision, review.pod, self.template, self.config)
        _log(review, type(decision).__name__, [decision.reason])
        patch = build_patch(review.pod, pieces)
        return build_allowed(review.uid, patch, [w.text for w in pieces.warnings], _audit(decision.reason))

    def _decide(self, review: Review) -> Decision:
        if not review.is_pod_creation:
            return Skip(Reason.NOT_A_POD_CREATION)
        namespace = self.cluster.namespace(review.namespace)
        account = self.cluster.service_account(review.namespace, read_service_account_name(review.pod))
        return decide(review.pod, Surroundings(namespace, account, self.cluster.version()), self.config)


def _allow(review: Review, decision: Skip) -> AdmissionReview:
    _log(review, "Skip", [decision.reason])
    return build_allowed(review.uid, None, [warning.text for warning in decision.warnings], _audit(decision.reason))


def _deny(review: Review, explanations: Sequence[Explanation]) -> AdmissionReview:
    reasons = [explanation.reason for explanation in explanations]
    _log(review, "Deny", reasons)
    texts = " ".join(f"[{explanation.reason.code}] {explanation.text}" for explanation in explanations)
    message = f"pod {review.namespace}/{read_pod_name(review.pod)} (request {review.uid}): {texts}"
    return build_denied(review.uid, message, _audit(*reasons))


def _audit(*reasons: Reason) -> dict[str, str]:
    return {"reason": ",".join(reason.code for reason in reasons)}


def _log(review: Review, outcome: str, reasons: Sequence[Reason]) -> None:
    """One line, and nothing of the pod but its name: a pod's environment may hold secrets."""
    codes = ",".join(reason.code for reason in reasons)
    LOG.info("%s %s/%s: %s %s", review.uid, review.namespace, read_pod_name(review.pod), outcome, codes)
