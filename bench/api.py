"""A fake API server of a large cluster: `python -m bench.api NAMESPACES ACCOUNTS NOTE_BYTES`, until SIGTERM.

It prints its port. Each ServiceAccount has an annotation of NOTE_BYTES that no decision reads.

It runs in its own process so that no figure includes its cost.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from threading import Event
from typing import Any

from injector.metadata_keys import ALLOWED_ROLES, INJECTION_ENABLED, INJECTION_LABEL, ROLE
from testing.fake_api_server import writable_api_server
from testing.fake_list_watch_server import ACCOUNTS, NAMESPACES, ListWatchServer

ACCOUNTS_FOR_ONE_ROLE = 5


@contextmanager
def running_api(namespaces: int, accounts: int, note_bytes: int = 0) -> Iterator[tuple[int, int]]:
    """Run it until the block ends; yield its pid and port."""
    argv = [sys.executable, "-m", "bench.api", str(namespaces), str(accounts), str(note_bytes)]
    with Popen(argv, stdout=PIPE) as process:
        try:
            if process.stdout is None or not (line := process.stdout.readline()):
                raise SystemExit("the fake API server did not start")
            yield process.pid, int(line)
        finally:
            process.terminate()


def fill(api: ListWatchServer, namespaces: int, accounts: int, note: str) -> None:
    """Create labelled namespaces with ServiceAccounts spread over them; every fifth account has a role."""
    for number in range(namespaces):
        labels = {INJECTION_LABEL: INJECTION_ENABLED, "kubernetes.io/metadata.name": f"team-{number}"}
        annotations = {ALLOWED_ROLES: json.dumps([f"team-{number}-*"])}
        api.put(NAMESPACES, f"team-{number}", **build_metadata(labels, annotations))
    for number in range(accounts):
        has_role = number % ACCOUNTS_FOR_ONE_ROLE == 0
        annotations = {ROLE: f"team-{number % namespaces}-{number}"} if has_role else {}
        if note:
            annotations["example.com/note"] = note
        metadata = build_metadata({"app.kubernetes.io/name": f"worker-{number}"}, annotations)
        api.put(ACCOUNTS, f"worker-{number}", f"team-{number % namespaces}", **metadata)
        api.events.clear()  # they happened before the first watch


def build_metadata(labels: dict[str, str], annotations: dict[str, str]) -> dict[str, Any]:
    """Metadata as deployment tools leave it: the API server sends all of it, though the injector needs little."""
    known = {key: value for key, value in annotations.items() if key in {ROLE, ALLOWED_ROLES}}
    applied = json.dumps({"apiVersion": "v1", "metadata": {"labels": labels, "annotations": known}})
    fields: dict[str, Any] = {f"f:{key}": {} for key in (*labels, *annotations)}
    return {
        "uid": "6f6c7a5e-8a50-4f7a-9d0e-3d1c54d2a7b1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": labels,
        "annotations": annotations | {"kubectl.kubernetes.io/last-applied-configuration": applied},
        "managedFields": [
            {
                "manager": f"tool-{number}",
                "operation": "Apply",
                "apiVersion": "v1",
                "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:labels": fields, "f:annotations": fields}},
            }
            for number in range(2)
        ],
    }


def main() -> None:
    """Serve until SIGTERM."""
    namespaces, accounts, note_bytes = map(int, sys.argv[1:])
    with writable_api_server() as api:
        fill(api, namespaces, accounts, "<" * note_bytes)
        sys.stdout.write(f"{api.port}\n")
        sys.stdout.flush()
        Event().wait()


if __name__ == "__main__":
    main()
