"""The worker process: serves the webhook and the health port until SIGTERM."""

import errno
import logging
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import contract
from contract.termination import truncate_termination_message
from injector.deadlines import GRACEFUL_SECONDS, KEEPALIVE_SECONDS, LINGER_SECONDS, QUEUE_SECONDS
from injector.errors import ClusterError, ConfigError
from server.background import ThreadLimitError
from server.descriptors import LoopStartError
from server.gunicorn_worker import LoopWorker
from server.listener import Service
from server.settings import Settings

LOG = logging.getLogger("podrole")

LIMITS = Settings(
    keepalive_seconds=KEEPALIVE_SECONDS,
    graceful_seconds=GRACEFUL_SECONDS,
    linger_seconds=LINGER_SECONDS,
    max_threads=8,  # for reviews that the cache cannot answer: each waits for a read of the API server
    max_waiting=64,  # more than `injector.k8s.live_reads` lets wait
    max_wait_seconds=QUEUE_SECONDS,
    max_buffered_bytes=32 * 1024 * 1024,
)


class InjectorWorker(LoopWorker):
    """A worker of gunicorn: https://docs.gunicorn.org/en/stable/settings.html#worker-class."""

    def __init__(self, *arguments: Any) -> None:
        """Create its file in memory, in the arbiter; if that fails, log why and end the arbiter."""
        try:
            super().__init__(*arguments)
        except (OSError, RuntimeError) as error:  # RuntimeError: gunicorn found no such directory
            sys.stderr.write(
                f"podrole-injector: no file can be created in {contract.SHARED_MEMORY}: {_describe(error)}. "
                "The worker needs one as its sign of life: mount an emptyDir of medium Memory there\n"
            )
            sys.exit(ConfigError.exit_code)

    def run(self) -> NoReturn:
        """Serve until the arbiter stops this worker; if it cannot start, log why and end the arbiter."""
        try:
            super().run()
        except (ConfigError, ClusterError, ThreadLimitError, LoopStartError) as error:
            sys.stderr.write(truncate_termination_message(f"podrole-injector: {error}\n"))
            self.app.exit_with(ConfigError.exit_code)
            sys.exit(0)

    def build_settings(self) -> Settings:
        """Return the server's limits."""
        return LIMITS

    def build_services(self, listeners: Sequence[socket.socket]) -> Mapping[socket.socket, Service]:
        """Build both services."""
        # 30 MiB that the arbiter does not need; threads and connections would not survive the fork.
        from injector.services import build_services  # noqa: PLC0415 - see above

        services = build_services(self.app.config, self.app.starts, self.read_problems)
        by_port = {self.app.ports.health: services.health, self.app.ports.webhook: services.webhook}
        by_listener = {listener: by_port[listener.getsockname()[1]] for listener in listeners}
        for listener, service in by_listener.items():
            address, port = listener.getsockname()[:2]
            host = f"[{address}]" if ":" in address else address
            LOG.info("Listening at: %s://%s:%s", "https" if service.tls else "http", host, port)
        return by_listener


def _describe(error: OSError | RuntimeError) -> str:
    if not isinstance(error, OSError):
        return "it does not exist"
    # An empty file takes no space, only an inode.
    return "it has no inodes left" if error.errno == errno.ENOSPC else error.strerror or str(error)
