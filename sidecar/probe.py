"""Reports what a pod reaches at the metadata addresses: `python3 -m sidecar.probe MODE`, in a pod of that mode.

`podrole preflight --probe` runs it, and reads the result from the container's termination message.
"""

from contract.termination import exit_on_signals
from sidecar.errors import TERMINATED

if __name__ == "__main__":
    exit_on_signals(TERMINATED)

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import contract
from contract.modes import Mode
from contract.text import escape
from server.descriptors import LoopStartError, explain_refusal
from server.listener import Service
from server.loop import Loop
from server.messages import Request, Response
from server.settings import Settings
from sidecar.deadlines import PROBE_GRACEFUL_SECONDS
from sidecar.errors import RedirectError, StartError
from sidecar.listeners import bind_loopback
from sidecar.original_destination import METADATA_DESTINATIONS, create_finder
from sidecar.output import write_output
from sidecar.reachability.measurement import Measurement, measure
from sidecar.reachability.node_agent import find_node_agent
from sidecar.redirect.rejection_check import HTTP_PORT, OTHER_PORT, find_reachable
from sidecar.redirect.self_check import FORBIDDEN, verify_redirect

MAX_CONNECTIONS = 16


def main(argv: Sequence[str] | None = None) -> None:
    """Write the result of one mode as JSON."""
    parser = argparse.ArgumentParser(prog="python3 -m sidecar.probe", description="Connect to the metadata addresses.")
    parser.add_argument("mode", choices=[*Mode], help="the rules that the pod has: block, redirect, or env for none")
    parser.add_argument("--output", metavar="FILE", help="instead of standard output")
    arguments = parser.parse_args(argv)
    try:
        report = json.dumps(build_report(Mode(arguments.mode)))
    except (StartError, LoopStartError) as error:
        sys.exit(escape(f"podrole-probe: {error}"))
    except OSError as error:
        sys.exit(f"podrole-probe: no address can be tried: {explain_refusal(error)}")
    try:
        write_report(report, arguments.output)
    except OSError as error:
        place = arguments.output or "standard output"
        sys.exit(escape(f"podrole-probe: the report cannot be written to {place}: {error.strerror}"))


def write_report(report: str, path: str | None) -> None:
    """Write to a file, or to standard output; raise OSError."""
    if path is None:
        write_output(f"{report}\n")
        return
    with open(path, "w", encoding="ascii") as output:
        output.write(report)


def build_report(mode: Mode, port: int = contract.SIDECAR_PORT) -> dict[str, Any]:
    """Return the problems of a mode's rules, or in env mode what the node's metadata service gives."""
    if mode == Mode.ENV:
        measurement = Measurement(time.time(), measure())
        return {"mode": mode, "node_metadata": measurement.build_document(), "agent": find_node_agent()}
    if mode == Mode.BLOCK:
        return {"mode": mode, "problems": format_reachable(HTTP_PORT, OTHER_PORT)}
    return {"mode": mode, "problems": [*format_reachable(OTHER_PORT), *check_redirect(port)]}


def format_reachable(*ports: int) -> list[str]:
    """One line for each address and port that is not refused."""
    return [f"{place}: {what}" for place, what in find_reachable(ports).items()]


def check_redirect(port: int) -> list[str]:
    """Listen in the sidecar's place, and return the lines of the self-check's error."""
    boot_id = os.urandom(16).hex()

    def handle(request: Request) -> Response:
        return Response(200, boot_id.encode()) if request.server in METADATA_DESTINATIONS else Response(FORBIDDEN)

    services = {
        listener: Service(handle, 0, MAX_CONNECTIONS, create_finder(listener.family))
        for listener in bind_loopback(port)
    }
    settings = Settings(graceful_seconds=PROBE_GRACEFUL_SECONDS, max_buffered_bytes=64 * 1024)
    loop = Loop(services, settings, lambda *_: None)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        verify_redirect(boot_id, port)
    except RedirectError as error:
        return str(error).splitlines()
    finally:
        loop.stop()
        thread.join()
    return []


if __name__ == "__main__":
    main()
