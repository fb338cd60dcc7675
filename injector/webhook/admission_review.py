"""AdmissionReview v1: wire types, parser, and builders of responses.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request
"""

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict

import orjson

from contract.text import quote
from injector.errors import ReviewError
from injector.k8s.objects import Object, read_service_account_name
from injector.reasons import Explanation, Reason
from injector.value_types import DNS_LABEL, DNS_SUBDOMAIN
from injector.webhook.messages import MAX_NAME
from injector.webhook.review_limits import MAX_CONTAINERS, MAX_PARSED_BYTES, estimate_parsed_bytes, find_uid

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
SHOWN_LENGTH = 100
PODS = {"group": "", "version": "v1", "resource": "pods"}

MAX_UID = 64
"""Characters. The API server sends UUIDs, which have 36."""


class Status(TypedDict):
    """Why a request was denied."""

    code: int
    reason: str
    message: str


class AdmissionResponse(TypedDict):
    """The response to one request."""

    uid: str
    allowed: bool
    status: NotRequired[Status]
    patchType: NotRequired[str]
    patch: NotRequired[str]
    warnings: NotRequired[list[str]]
    auditAnnotations: NotRequired[dict[str, str]]


class AdmissionReview(TypedDict):
    """The envelope of the response."""

    apiVersion: str
    kind: str
    response: AdmissionResponse


class Review(NamedTuple):
    """The parsed request of a review."""

    uid: str
    is_pod_creation: bool
    namespace: str
    service_account: str
    pod: Object
    """Empty unless `is_pod_creation`."""


class TooLargeReviewError(ReviewError):
    """The pod of this review is too large: it is denied with this explanation."""

    def __init__(self, review: Review, explanation: Explanation) -> None:
        super().__init__(explanation.text)
        self.review = review
        self.explanation = explanation


def parse_review(body: bytes) -> Review:
    """Parse the body of a request; raise ReviewError with the first problem."""
    if (size := estimate_parsed_bytes(body)) > MAX_PARSED_BYTES:
        unparsed = Review(find_uid(body), is_pod_creation=True, namespace="", service_account="", pod={})
        raise TooLargeReviewError(unparsed, Reason.POD_TOO_LARGE.explain(size=str(size), maximum=str(MAX_PARSED_BYTES)))
    return _parse_request(*parse_envelope(body))


def parse_envelope(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the uid and the request of a review; raise ReviewError with the first problem."""
    try:
        review = orjson.loads(body)
    except ValueError as error:
        raise ReviewError(f"the body is not JSON: {error}") from error
    if not isinstance(review, dict):
        raise ReviewError(f"the body is a JSON {type(review).__name__}, not an AdmissionReview object")
    for key, expected in (("kind", KIND), ("apiVersion", API_VERSION)):
        if review.get(key) != expected:
            given = quote(orjson.dumps(review.get(key)).decode(errors="replace"), SHOWN_LENGTH)
            raise ReviewError(f"{key} is {given}: only {expected} is supported")
    request = review.get("request")
    if not isinstance(request, dict):
        raise ReviewError("the review has no request")
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        raise ReviewError("the request of the review has no uid")
    if len(uid) > MAX_UID:
        raise ReviewError(f"the uid of the request has {len(uid)} characters, the maximum is {MAX_UID}")
    return uid, request


def _parse_request(uid: str, request: dict[str, Any]) -> Review:
    is_pod = request.get("resource") == PODS and not request.get("subResource")
    if not is_pod or request.get("operation") != "CREATE":
        return Review(uid, is_pod_creation=False, namespace="", service_account="", pod={})
    namespace, pod = request.get("namespace"), request.get("object")
    if not isinstance(namespace, str) or not DNS_LABEL.accepts(namespace):
        raise ReviewError(f"request {uid} creates a pod without a namespace")
    if not isinstance(pod, dict) or not isinstance(pod.get("spec"), dict):
        raise ReviewError(f"request {uid} creates a pod, but its object is not a pod with a spec")
    account = read_service_account_name(pod)
    if len(account) > MAX_NAME or not DNS_SUBDOMAIN.accepts(account):
        raise ReviewError(f"request {uid} creates a pod whose serviceAccountName is not a valid name")
    review = Review(uid, is_pod_creation=True, namespace=namespace, service_account=account, pod=pod)
    if (count := count_containers(pod["spec"])) > MAX_CONTAINERS:
        too_many = Reason.TOO_MANY_CONTAINERS.explain(count=str(count), maximum=str(MAX_CONTAINERS))
        raise TooLargeReviewError(review, too_many)
    return review


def count_containers(spec: Object) -> int:
    """How many containers a pod has; each gets variables, and its own part of the patch."""
    lists = (spec.get("initContainers"), spec.get("containers"))
    return sum(len(found) for found in lists if isinstance(found, list))


def build_allowed(
    uid: str,
    operations: Sequence[Object] = (),
    warnings: Sequence[str] = (),
    audit: dict[str, str] | None = None,
) -> AdmissionReview:
    """The response that allows the object, with a patch if there are operations."""
    response: AdmissionResponse = {"uid": uid, "allowed": True}
    if operations:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(orjson.dumps(operations)).decode()
    if warnings:
        response["warnings"] = list(warnings)
    if audit:
        response["auditAnnotations"] = audit
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}


def build_denied(uid: str, message: str, audit: dict[str, str]) -> AdmissionReview:
    """The response that denies the object."""
    status: Status = {"code": 403, "reason": "Forbidden", "message": message}
    response: AdmissionResponse = {"uid": uid, "allowed": False, "status": status, "auditAnnotations": audit}
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}
