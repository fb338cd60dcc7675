"""The status of a running sidecar: `python3 -m sidecar.status` in its container. It contains no secrets.

The server builds the status and serves it at its own path; this command prints what the running process returns.
`podrole check` runs it.
"""

import json
import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import contract
from contract.modes import CredentialSource
from contract.settings import list_settings, read_value
from contract.text import escape, quote
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State
from sidecar.deadlines import STATUS_SECONDS
from sidecar.output import write_output
from sidecar.sockets import http_get
from sidecar.sts.hints import find_hint
from sidecar.time_format import format_time

if TYPE_CHECKING:
    from sidecar.reachability.measurement import Measurement

SOURCE_NAMES = {CredentialSource.NODE: "node (unsafe)"}
"""How the text output names a source, if not by its value."""

MAX_LINE_LENGTH = 4096
"""Characters of a line of the text output. The longest value is STS's message."""

NOT_OURS = "the server on this port is not a podrole sidecar"
KEYS = frozenset(
    {
        *("role", "source", "intermediate_role", "mode", "state", "seconds_left", "expires", "last_success"),
        *("next_refresh", "failures", "last_failure", "node_metadata", "state_file_error"),
        "ignored_times",
    }
)
"""Of a status. One key more or less is another server's document."""


class ServingState(StrEnum):
    """What clients get."""

    SERVING = "serving"
    """Valid credentials."""

    WAITING = "waiting"
    """No credentials yet, or no longer: STS has not responded, or with transient errors only."""

    REFUSED = "refused"
    """STS's permanent error."""


def build_status(
    config: Config,
    state: State,
    now: float,
    measurement: "Measurement | None" = None,
    state_file_error: str | None = None,
) -> dict[str, Any]:
    """Return the status as `--output json` prints it."""
    credentials = state.credentials
    return {
        "role": config.role_arn,
        "source": config.credential_source,
        "intermediate_role": config.intermediate_role,
        "mode": config.mode,
        "state": _serving_state(state.servable(now)),
        "seconds_left": None if credentials is None else max(0, int(credentials.ends_at - now)),
        "expires": credentials and format_time(credentials.expires_at),
        "last_success": credentials and format_time(credentials.obtained_at),
        "ignored_times": credentials.ignored_times if credentials else [],
        "next_refresh": format_time(state.refresh_at),
        "failures": state.failures,
        "last_failure": _build_failure(state),
        "node_metadata": measurement and measurement.build_document(),
        "state_file_error": state_file_error,
    }


def _serving_state(servable: Credentials | Failure | None) -> ServingState:
    match servable:
        case Credentials():
            return ServingState.SERVING
        case Failure():
            return ServingState.REFUSED
        case None:
            return ServingState.WAITING


def _build_failure(state: State) -> dict[str, str] | None:
    if state.failure is None or state.failed_at is None:
        return None
    return {
        "code": state.failure.code,
        "message": state.failure.message,
        "hint": find_hint(state.failure),
        "at": format_time(state.failed_at),
    }


def format_status(status: dict[str, Any]) -> str:
    """Format the status as text."""
    left = status["seconds_left"]
    through = f" through {status['intermediate_role']}" if status["intermediate_role"] else ""
    lines = [
        f"role          {status['role']}",
        f"source        {SOURCE_NAMES.get(status['source'], status['source'])}{through}, mode {status['mode']}",
        f"state         {status['state']}",
        f"expires       {status['expires'] or 'no credentials'}" + (f", in {left} s" if left is not None else ""),
        f"last success  {status['last_success'] or 'none'}",
        f"next refresh  {status['next_refresh']}",
        f"failures      {status['failures']} since the last success",
    ]
    if status["ignored_times"]:
        lines.append(f"ignored times {', '.join(status['ignored_times'])} of STS's answer")
    if status["state_file_error"]:
        lines.append(f"state file    not written: {status['state_file_error']}")
    if node := status["node_metadata"]:
        lines.append(f"node metadata {node['state']} at {node['measured']}: {_format_addresses(node['addresses'])}")
    if failure := status["last_failure"]:
        lines += [
            f"last failure  {failure['at']} {failure['code']}: {failure['message']}",
            f"hint          {failure['hint']}",
        ]
    return "\n".join(quote(line, MAX_LINE_LENGTH) for line in lines)  # no value can add a line


def _format_addresses(addresses: dict[str, dict[str, str]]) -> str:
    return ", ".join(f"{address} {one['reason']}" for address, one in addresses.items())


def fetch_status(port: int) -> dict[str, Any]:
    """Get the status from this pod's sidecar; raise OSError or, if another server responds, ValueError."""
    reply = http_get("127.0.0.1", port, contract.STATUS_PATH, STATUS_SECONDS)
    if reply.status != 200:  # noqa: PLR2004 - OK
        raise ValueError(NOT_OURS)
    try:
        status: Any = json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise ValueError(NOT_OURS) from error
    if not isinstance(status, dict) or status.keys() != KEYS:
        raise ValueError(NOT_OURS)
    return dict(status)


def main() -> None:
    """Print the status; exit with 0 if the sidecar serves credentials, else with 1."""
    import argparse  # noqa: PLC0415 - the server, which imports this module too, needs no options

    parser = argparse.ArgumentParser(prog="python3 -m sidecar.status", description="Print this pod's sidecar status.")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    output = parser.parse_args().output
    setting = list_settings(Config)["port"]
    port = setting.parse(read_value(setting, os.environ))
    try:
        status = fetch_status(port)
        text = json.dumps(status) if output == "json" else format_status(status)
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = error if isinstance(error, (OSError, ValueError)) else NOT_OURS
        sys.exit(escape(f"podrole: cannot get the sidecar's status from 127.0.0.1 port {port}: {reason}"))
    try:
        write_output(text + "\n")
    except OSError as error:
        sys.exit(f"podrole: the sidecar's status cannot be written to standard output: {error.strerror}")
    sys.exit(0 if status["state"] == ServingState.SERVING else 1)


if __name__ == "__main__":
    main()
