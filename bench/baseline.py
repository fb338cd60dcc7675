"""The baseline: a Flask app that does nothing, under gunicorn with threads. It measures the machine.

Other systems were measured with the same baseline, so ratios to it can be compared.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask, Response

from testing.services.certificates import CertificateFiles
from testing.services.programs import Program, running

ANSWER = b'{"hello": "world"}'
THREADS = 4

app = Flask("baseline", static_folder=None)


@app.route("/", methods=["GET", "POST"])
def answer() -> Response:
    """Return a constant response."""
    return Response(ANSWER, content_type="application/json")


def build_argv(port: int) -> list[str]:
    """The command that starts it."""
    argv = [sys.executable, "-m", "gunicorn", "bench.baseline:app", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    return [*argv, "--worker-class", "gthread", "--threads", str(THREADS), "--keep-alive", "75"]


@contextmanager
def running_baseline(directory: Path, certificates: CertificateFiles | None = None) -> Iterator[tuple[int, int]]:
    """Run it; yield the arbiter's pid and the port."""
    tls = ["--certfile", str(certificates.certificate), "--keyfile", str(certificates.key)] if certificates else []
    program = Program(
        name="baseline",
        argv=(*build_argv(0), *tls),
        ready=r"Listening at: https?://127\.0\.0\.1:(\d+) \((\d+)\)[\s\S]*Booting worker",
        remedy="its log says why",
    )
    with running(program, directory) as match:
        yield int(match[2]), int(match[1])
