"""`python -m bench.sidecar`: the start, memory and answers of a sidecar whose STS answers at once, over plain HTTP."""

import statistics
import tempfile
import time
from pathlib import Path

from bench.measure import describe_durations, print_table, read_memory, time_each
from demo.services.faulty_sts import faulty_sts
from tests.sidecars import Sidecar, build_environ, running_sidecar

STARTS = 9
REQUESTS = 2000
HEAD = b"Host: 169.254.170.2\r\nConnection: close\r\n\r\n"


def measure_start(sts_url: str) -> float:
    """Milliseconds from exec to the first answer with credentials."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "token").write_text("to.ke.n")
        environ = build_environ(directory, sts_url)
        began = time.perf_counter()
        with running_sidecar(environ, directory) as sidecar:
            while not has_credentials(sidecar):
                time.sleep(0.001)
            return (time.perf_counter() - began) * 1000


def has_credentials(sidecar: Sidecar) -> bool:
    """Whether a request gets credentials now."""
    try:
        return ask(sidecar).startswith(b"HTTP/1.1 200")
    except ConnectionRefusedError:
        return False


def ask(sidecar: Sidecar) -> bytes:
    """One request on a connection of its own."""
    return sidecar.exchange(b"GET /v2/credentials HTTP/1.1\r\n" + HEAD)


def main() -> None:
    """Measure and print."""
    with faulty_sts() as sts, tempfile.TemporaryDirectory() as name:
        starts = [measure_start(sts.url) for _ in range(STARTS)]
        directory = Path(name)
        (directory / "token").write_text("to.ke.n")
        with running_sidecar(build_environ(directory, sts.url), directory) as sidecar:
            sidecar.wait_until_started()
            warm = time_each(REQUESTS, lambda: ask(sidecar))
            memory = read_memory(sidecar.process.pid)
    print_table(
        "sidecar",
        [
            (f"exec to first credential, {STARTS} starts", f"median {statistics.median(starts):.0f} ms"),
            (f"GET /v2/credentials, {REQUESTS} new connections", describe_durations(warm)),
            (f"memory after {REQUESTS} requests", f"PSS {memory['Pss']:.1f}, anonymous {memory['Pss_Anon']:.1f} MiB"),
        ],
    )


if __name__ == "__main__":
    main()
