"""The WSGI apps: the webhook, and health, readiness and metrics. The only module that imports Flask."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import orjson
from flask import Flask, Response

from injector.errors import ReviewError
from injector.webhook import metrics
from injector.webhook.admission_review import parse_review
from injector.webhook.handler import Admission
from server.messages import WouldBlock
from server.wsgi import MAY_BLOCK

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WEBHOOK_PATH = "/mutate"
MAX_BODY_BYTES = 8 * 1024 * 1024
"""The API server takes objects of 3 MiB at most, and a review may hold two."""

FindPending = Callable[[], Sequence[str]]
"""Returns the closed readiness gates, one description each."""

PLAIN = "text/plain; charset=utf-8"


class ClosingBody(list[bytes]):
    """A response body with a callback that runs after it is sent: WSGI servers call `close`."""

    def __init__(self, chunks: Iterable[bytes], close: Callable[[], None]) -> None:
        super().__init__(chunks)
        self.close = close


def create_app(admission: Admission, find_pending: FindPending = list) -> "WSGIApplication":
    """Build the webhook's app, which answers 503 while readiness gates are closed.

    Plain WSGI, because there is one route: Flask's routing takes as long as the decision, and a pod waits for it.
    """

    def webhook(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] != WEBHOOK_PATH:
            return _text_response(start_response, "404 Not Found", f"POST an AdmissionReview to {WEBHOOK_PATH}\n")
        if environ["REQUEST_METHOD"] != "POST":
            return _text_response(start_response, "405 Method Not Allowed", "POST an AdmissionReview\n", Allow="POST")
        if pending := find_pending():
            return _text_response(start_response, "503 Service Unavailable", f"not ready: {'; '.join(pending)}\n")
        try:
            review = parse_review(environ["wsgi.input"].read())
            if not environ.get(MAY_BLOCK, True) and not admission.is_nonblocking(review):
                raise WouldBlock
            answer, entry = admission.answer(review)
        except ReviewError as error:
            return _text_response(start_response, "400 Bad Request", f"{error}\n")
        body = _send(start_response, "200 OK", "application/json", orjson.dumps(answer))
        return ClosingBody(body, partial(admission.log_and_count, entry))

    return webhook


def _text_response(start_response: "StartResponse", status: str, text: str, **headers: str) -> Iterable[bytes]:
    return _send(start_response, status, PLAIN, text.encode(), **headers)


def _send(start_response: "StartResponse", status: str, content_type: str, body: bytes, **headers: str) -> list[bytes]:
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers.items()])
    return [body]


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
