"""A node without a kubelet: the scheduler binds pods to it, and this reports them as running and ends them.

It runs no container, so what needs one is tested on a real cluster (tests/integration/node).
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from testing.cluster.api import ApiServer, Manifest, RefusedError

NAME = "estate-node"
PAUSE_SECONDS = 0.3
HEARTBEAT_SECONDS = 10
SIZE = {key: {"cpu": "64", "memory": "64Gi", "pods": "500"} for key in ("capacity", "allocatable")}
ENDING_POLICIES = ("Never", "OnFailure")


@contextmanager
def fake_node(api: ApiServer) -> Iterator[None]:
    """Have a ready node until the block ends."""
    api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME}})
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(api, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _run(api: ApiServer, stop: threading.Event) -> None:
    beat = 0.0
    while not stop.wait(PAUSE_SECONDS):
        if time.monotonic() - beat > HEARTBEAT_SECONDS:
            now = _format_now()
            status = {"conditions": _build_conditions(now, lastHeartbeatTime=now), **SIZE}
            api.patch(("Node", f"{NAME}/status"), {"status": status})
            beat = time.monotonic()
        for pod in api.list("Pod"):
            if pod["spec"].get("nodeName") == NAME:
                with suppress(RefusedError):  # deleted meanwhile
                    _report(api, pod)


def _report(api: ApiServer, pod: Manifest) -> None:
    metadata = pod["metadata"]
    if "deletionTimestamp" in metadata:
        if not metadata.get("finalizers"):
            api.delete("Pod", metadata["name"], metadata["namespace"])
    elif pod["status"].get("phase") == "Pending":
        is_ending = pod["spec"]["restartPolicy"] in ENDING_POLICIES
        status = (
            {"phase": "Succeeded"}
            if is_ending
            else {"phase": "Running", "conditions": _build_conditions(_format_now())}
        )
        api.patch(("Pod", f"{metadata['name']}/status"), {"status": status}, metadata["namespace"])


def _build_conditions(now: str, **more: str) -> list[Manifest]:
    return [{"type": "Ready", "status": "True", "lastTransitionTime": now, **more}]


def _format_now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
