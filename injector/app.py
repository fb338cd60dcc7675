"""HTTP in, HTTP out: the only module that knows flask. What an answer says is decided elsewhere."""

import json

from flask import Flask, Response, request

from injector.admission import Admission
from injector.errors import ReviewError
from injector.reviews import parse_review

LONGEST_BODY_BYTES = 8 * 1024 * 1024
"""The API server takes objects of 3 MiB at most, and a review may hold two."""


def create_app(admission: Admission) -> Flask:
    """Wire the routes to what answers reviews."""
    app = Flask("podrole", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY_BYTES

    @app.post("/mutate")
    def mutate() -> Response:
        answer = admission.answer(parse_review(request.get_data(cache=False)))
        return Response(json.dumps(answer, separators=(",", ":")), content_type="application/json")

    @app.errorhandler(ReviewError)
    def refuse(error: ReviewError) -> Response:
        return Response(f"{error}\n", status=400, content_type="text/plain; charset=utf-8")

    @app.get("/healthz")
    @app.get("/readyz")
    def report() -> Response:
        return Response("ok\n", content_type="text/plain; charset=utf-8")

    return app
