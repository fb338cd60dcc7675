"""The Flask apps: the webhook, and health, readiness and metrics. The only module that imports Flask."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import orjson
from flask import Flask, Response

from contract.text import quote
from injector.deadlines import RETRY_AFTER_SECONDS
from injector.errors import ReviewError, TooManyReadsError
from injector.k8s.reader import Reservation
from injector.webhook import metrics
from injector.webhook.admission_review import Review, TooLargeReviewError, parse_review
from injector.webhook.handler import Admission
from injector.webhook.workload_review import WorkloadReview
from injector.webhook.workload_warnings import WorkloadReviewer
from server import messages
from server.messages import WouldBlock
from server.wsgi import MAY_BLOCK

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WEBHOOK_PATH = "/mutate"
WORKLOAD_PATH = "/warn"
MAX_ERROR_LENGTH = 2048
"""Characters of the response to a request that is not a valid review."""

MAX_BODY_BYTES = 4 * 1024 * 1024
"""The API server accepts objects of 3 MiB at most. The rest is for the envelope, and for defaults that it adds."""

FindPending = Callable[[], Sequence[str]]
"""Returns the closed readiness gates, one description each."""

JSON, PLAIN = "application/json", "text/plain; charset=utf-8"

RETRY_AFTER = {"Retry-After": str(RETRY_AFTER_SECONDS)}
"""With it the API server sends the review again, within the webhook's timeout."""


View = Callable[["WSGIEnvironment"], "WSGIApplication"]


class _App(Flask):
    """Calls the view of a review without a request context, which would take as long as to decide about a pod.

    Flask answers all other requests. https://flask.palletsprojects.com/en/stable/api/#flask.Flask.wsgi_app
    """

    def __init__(self, views: Mapping[str, View], find_pending: FindPending) -> None:
        """`views` are called for POST requests, by path."""
        super().__init__("podrole-webhook", static_folder=None)
        self.url_map.merge_slashes = False  # `//mutate` would be redirected
        self._views = views
        self._find_pending = find_pending
        for path in views:
            self.add_url_rule(path, path, methods=["POST"], provide_automatic_options=False)

    def wsgi_app(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        """Answer a request. Exceptions of a view go to the server: WouldBlock is a signal to it."""
        view = self._views.get(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "POST" else None
        respond = self._answer(view, environ) if view else super().wsgi_app
        return respond(environ, start_response)

    def _answer(self, view: View, environ: "WSGIEnvironment") -> "WSGIApplication":
        if pending := self._find_pending():
            return Response(f"not ready: {'; '.join(pending)}\n", 503, content_type=PLAIN)
        try:
            return view(environ)
        except ReviewError as error:
            return Response(_describe(error), 400, content_type=PLAIN)


class _Answer:
    """The response to a review: a WSGI app that costs a tenth of Flask's Response."""

    def __init__(self, review: object, after: Callable[[], object] = lambda: None) -> None:
        """`after` is called when it is sent."""
        self._body = orjson.dumps(review)
        self.close = after

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "_Answer":  # noqa: ARG002 - WSGI's
        """Start the response; return its body."""
        start_response("200 OK", [("Content-Type", JSON)])
        return self

    def __iter__(self) -> Iterator[bytes]:
        """The body, in one piece."""
        yield self._body


def create_app(
    admission: Admission, find_pending: FindPending = list, workloads: WorkloadReviewer | None = None
) -> Flask:
    """Build the app of both webhooks, which answers 503 while readiness gates are closed."""
    reviewer = workloads or WorkloadReviewer(admission.config, admission.cluster, admission.template)
    app = _App({WEBHOOK_PATH: partial(_mutate, admission), WORKLOAD_PATH: partial(_warn, reviewer)}, find_pending)

    @app.errorhandler(404)
    def explain_path(_error: Exception) -> Response:
        return Response(f"POST an AdmissionReview to {WEBHOOK_PATH}\n", 404, content_type=PLAIN)

    @app.errorhandler(405)
    def explain_method(_error: Exception) -> Response:
        return Response("POST an AdmissionReview\n", 405, {"Allow": "POST"}, content_type=PLAIN)

    return app


def _mutate(admission: Admission, environ: "WSGIEnvironment") -> "WSGIApplication":
    """Answer a review of a pod."""
    try:
        review = parse_review(environ["wsgi.input"].read())
        if not environ.get(MAY_BLOCK, True) and not admission.is_nonblocking(review):
            reservation = admission.reserve(review)
            raise WouldBlock(partial(_answer_in_thread, admission, review, reservation), reservation.release)
        answer, entry = admission.answer(review)
    except TooLargeReviewError as error:
        if not error.review.uid:
            raise
        answer, entry = admission.deny(error.review, error.explanation)
    except TooManyReadsError as error:
        return Response(f"{error}\n", 429, RETRY_AFTER, content_type=PLAIN)
    return _Answer(answer, partial(admission.log_and_count, entry))


def _warn(reviewer: WorkloadReviewer, environ: "WSGIEnvironment") -> "WSGIApplication":
    """Answer a review of a workload."""
    review = reviewer.parse(environ["wsgi.input"].read())
    if not isinstance(review, WorkloadReview):
        return _Answer(review)
    if environ.get(MAY_BLOCK, True) or reviewer.is_nonblocking(review):
        return _Answer(reviewer.answer(review))
    if reservation := reviewer.reserve_reads(review.namespace):
        raise WouldBlock(partial(_warn_in_thread, reviewer, review, reservation), reservation.release)
    return _Answer(reviewer.give_up(review.uid))


def _answer_in_thread(admission: Admission, review: Review, reservation: Reservation) -> messages.Response:
    """Answer a review that waits for reads of the API server."""
    try:
        answer, entry = admission.answer(review, reservation.reader)
    except ReviewError as error:
        return messages.Response(400, _describe(error).encode(), (("Content-Type", PLAIN),))
    finally:
        reservation.release()
    done = partial(admission.log_and_count, entry)
    return messages.Response(200, orjson.dumps(answer), (("Content-Type", JSON),), done)


def _warn_in_thread(reviewer: WorkloadReviewer, review: WorkloadReview, reservation: Reservation) -> messages.Response:
    """Answer a review of a workload that waits for reads of the API server."""
    try:
        answer = reviewer.answer(review, reservation.reader)
    except ReviewError as error:
        return messages.Response(400, _describe(error).encode(), (("Content-Type", PLAIN),))
    finally:
        reservation.release()
    return messages.Response(200, orjson.dumps(answer), (("Content-Type", JSON),))


def _describe(error: ReviewError) -> str:
    return f"{quote(str(error), MAX_ERROR_LENGTH)}\n"


def create_health_app(find_pending: FindPending, render_metrics: Callable[[], bytes]) -> Flask:
    """Build the app for kubelet and Prometheus, which runs on its own port, without TLS."""
    app = Flask("podrole-health", static_folder=None)

    @app.get("/healthz")
    def live() -> Response:
        return Response("ok\n", content_type=PLAIN)

    @app.get("/readyz")
    def ready() -> Response:
        pending = find_pending()
        return Response("".join(f"{line}\n" for line in pending or ["ok"]), 503 if pending else 200, None, PLAIN)

    @app.get("/metrics")
    def show_metrics() -> Response:
        return Response(render_metrics(), content_type=metrics.CONTENT_TYPE)

    return app
