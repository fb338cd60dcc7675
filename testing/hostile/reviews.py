"""Sends hostile reviews to the webhook's port, from a process of its own: `python -m ... KIND PORT`."""

import http.client
import json
import ssl
import sys
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from testing.admission import PATH, build_review
from testing.cluster.pods import ROLE, build_pod

ADDRESS = "127.0.0.1"
TIMEOUT_SECONDS = 50
"""Of the sender, which shares its CPUs with what it attacks. The server closes a slow connection after 5 s."""
AT_ONCE = 200


def review(request: Any = None, metadata: Any = None, spec: Any = None) -> bytes:
    """A review of an ordinary pod with other fields in the request, the pod's metadata or its spec."""
    body = build_review({**build_pod(), "metadata": {"name": "app", "namespace": "team-a", "annotations": dict(ROLE)}})
    pod = body["request"]["object"]
    body["request"].update(request or {})
    pod["metadata"].update(metadata or {})
    pod["spec"].update(spec or {})
    return json.dumps(body).encode()


def nest(depth: int) -> str:
    """JSON of many levels."""
    return "[" * depth + "]" * depth


BODIES: Mapping[str, tuple[int, Callable[[], bytes]]] = {
    "namespaces that do not exist": (AT_ONCE, lambda: review(request={"namespace": f"none-{uuid.uuid4().hex}"})),
    "accounts that do not exist": (AT_ONCE, lambda: review(spec={"serviceAccountName": f"none-{uuid.uuid4().hex}"})),
    "a namespace of 7.9 MB": (16, lambda: review(request={"namespace": "a" * 7_900_000})),
    "a pod's name of 7.9 MB": (16, lambda: review(metadata={"name": "a" * 7_900_000})),
    "a uid of 7.9 MB": (16, lambda: review(request={"uid": "a" * 7_900_000})),
    "an account's name of 7.9 MB": (16, lambda: review(spec={"serviceAccountName": "a" * 7_900_000})),
    "an owner of 7.9 MB": (
        16,
        lambda: review(metadata={"ownerReferences": [{"controller": True, "kind": "a" * 7_900_000, "name": "a"}]}),
    ),
    "a kind of 7.9 MB": (16, lambda: json.dumps({"kind": "a" * 7_900_000}).encode()),
    "deep JSON": (16, lambda: nest(90_000).encode()),
    "a deep pod": (16, lambda: review(spec={"deep": None}).replace(b'"deep": null', b'"deep": ' + nest(900).encode())),
    "199 000 objects": (16, lambda: b"[" + b",".join([b"{}"] * 99_000) + b"]"),
    "8 MiB of escapes": (16, lambda: review(metadata={"name": "\n" * 3_900_000})),
    "8 MiB of emoji": (16, lambda: review(metadata={"name": "\N{GRINNING FACE}" * 600_000})),
    "8 MiB that are not JSON": (16, lambda: b"a" * 8_000_000),
}


def post(port: int, body: bytes) -> tuple[int, int]:
    """Send the body of a review on a new connection; return the status and the length of the answer.

    0 if the connection was closed: a body that is too large is not read.
    """
    context = ssl._create_unverified_context()  # noqa: SLF001 - any client can connect
    with closing(http.client.HTTPSConnection(ADDRESS, port, timeout=TIMEOUT_SECONDS, context=context)) as connection:
        try:
            connection.request("POST", PATH, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, len(response.read())
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException):
            return 0, 0


def main() -> None:
    """Send the reviews at once; print the answers as JSON."""
    kind, port = sys.argv[1:]
    count, build = BODIES[kind]
    bodies = [build() for _ in range(count)]
    with ThreadPoolExecutor(count) as pool:
        answers = [*pool.map(lambda body: post(int(port), body), bodies)]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
