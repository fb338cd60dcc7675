"""What a person asks a running sidecar: `python3 -m sidecar.status`, in its container. Nothing secret is in the answer.

The server builds it (`build_status`) at a path of its own; the command fetches it from there, so that it tells of the
process that really serves. Run by `podrole check`, so it starts fast: no Flask, no http.client.
"""

import argparse
import json
import os
import socket
import sys
from typing import Any

import contract
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State
from sidecar.sts.hints import find_hint
from sidecar.time_format import format_time

UNSAFE = {contract.SOURCE_NODE: "node (unsafe)"}
"""What a person is told instead of the source's name."""

SERVING, WAITING, REFUSED = "serving", "waiting", "refused"
TIMEOUT_SECONDS = 5
LONGEST_BYTES = 64 * 1024


def build_status(config: Config, state: State, now: float) -> dict[str, Any]:
    """What is known, as `--output json` prints it; times as in the documents that clients get."""
    credentials = state.credentials
    return {
        "role": config.role_arn,
        "source": config.credential_source,
        "intermediate_role": config.intermediate_role,
        "mode": config.mode,
        "state": _name_state(state.servable(now)),
        "seconds_left": None if credentials is None else max(0, int(credentials.ends_at - now)),
        "expires": credentials and format_time(credentials.expires_at),
        "last_success": credentials and format_time(credentials.obtained_at),
        "next_refresh": format_time(state.refresh_at),
        "failures": state.failures,
        "last_failure": _build_failure(state),
    }


def _name_state(found: Credentials | Failure | None) -> str:
    match found:
        case Credentials():
            return SERVING
        case Failure():
            return REFUSED
        case None:
            return WAITING


def _build_failure(state: State) -> dict[str, str] | None:
    """Of the attempts since the last success."""
    if state.failure is None or state.failed_at is None:
        return None
    return {
        "code": state.failure.code,
        "message": state.failure.message,
        "remedy": find_hint(state.failure),
        "at": format_time(state.failed_at),
    }


def format_status(status: dict[str, Any]) -> str:
    """For a person."""
    left = status["seconds_left"]
    through = f" through {status['intermediate_role']}" if status["intermediate_role"] else ""
    lines = [
        f"role          {status['role']}",
        f"source        {UNSAFE.get(status['source'], status['source'])}{through}, mode {status['mode']}",
        f"state         {status['state']}",
        f"expires       {status['expires'] or 'nothing to expire'}" + (f", in {left} s" if left is not None else ""),
        f"last success  {status['last_success'] or 'none'}",
        f"next refresh  {status['next_refresh']}",
        f"failures      {status['failures']} since then",
    ]
    if failure := status["last_failure"]:
        lines += [
            f"last failure  {failure['at']} {failure['code']}: {failure['message']}",
            f"what to do    {failure['remedy']}",
        ]
    return "\n".join(lines)


def fetch_status(port: int) -> dict[str, Any]:
    """Ask the sidecar of this pod; raise OSError if there is none, ValueError if something else answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(f"GET {contract.STATUS_PATH} HTTP/1.0\r\n\r\n".encode())
        received = b""
        while (piece := connection.recv(LONGEST_BYTES)) and len(received) <= LONGEST_BYTES:
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] != [b"200"]:
        raise ValueError("it does not answer as a sidecar does")
    status: dict[str, Any] = json.loads(body)
    return status


def main() -> None:
    """Print the status; end with 0 if credentials are served, else with 1."""
    parser = argparse.ArgumentParser(prog="python3 -m sidecar.status", description="What this pod's sidecar is doing.")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    output = parser.parse_args().output
    port = int(os.environ.get(contract.ENV_PORT) or contract.SIDECAR_PORT)
    try:
        status = fetch_status(port)
    except (OSError, ValueError) as error:
        sys.exit(f"podrole: no sidecar answers on 127.0.0.1 port {port}: {error}")
    sys.stdout.write((json.dumps(status) if output == "json" else format_status(status)) + "\n")
    sys.exit(0 if status["state"] == SERVING else 1)


if __name__ == "__main__":
    main()
