"""The child process: gets the pod's role from STS and prints the outcome as one JSON line.

The usual call, by the pod's web identity, needs no SDK. `sidecar.sts.chain`, with boto3 and tenacity, is imported only
for signed calls: their memory and their hangs end with this process. `sidecar.sts.process` starts it.
"""

import os
import sys
import threading
import time

from contract.modes import CredentialSource
from server.log_stream import exit_process
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.log import set_up_log
from sidecar.sts.limits import MAX_MEMORY_BYTES, limit_resources
from sidecar.sts.outcome import serialize_outcome
from sidecar.sts.retry import Sleep, call_with_retries
from sidecar.sts.web_identity import assume_role

OUT_OF_MEMORY = Failure(
    "OutOfMemory", f"The attempt needed more than {MAX_MEMORY_BYTES >> 20} MiB of memory.", is_permanent=False
)


def fetch(config: Config, attempts: int, sleep: Sleep = time.sleep) -> Credentials | Failure:
    """Assume the pod's role; retry after transient errors."""
    if config.intermediate_role or config.credential_source is CredentialSource.NODE:
        from sidecar.sts.chain import fetch_signed  # noqa: PLC0415 - imports boto3 and tenacity

        return fetch_signed(config, attempts, sleep)
    return call_with_retries(
        lambda: assume_role(config, config.role_arn, config.session_duration_seconds), attempts, sleep
    )


def exit_with_parent() -> None:
    """Exit when standard input closes: the parent has died."""
    try:
        os.read(sys.stdin.fileno(), 1)
    finally:
        os._exit(1)


def try_to_fetch(attempts: int) -> Credentials | Failure:
    """Return a transient failure where this process has no thread or no memory."""
    try:
        threading.Thread(target=exit_with_parent, daemon=True).start()
    except RuntimeError as error:
        return Failure("SpawnFailed", f"The attempt could not be started: {error}.", is_permanent=False)
    try:
        return fetch(Config.from_environ(os.environ), attempts)
    except MemoryError:
        return OUT_OF_MEMORY


def main(attempts: int) -> None:
    """Print the outcome and exit at once: a normal exit of the interpreter takes 50 ms to free memory."""
    limit_resources()
    print(serialize_outcome(try_to_fetch(attempts)), flush=True)  # noqa: T201
    exit_process(0)


if __name__ == "__main__":
    set_up_log()
    main(int(sys.argv[1]))
