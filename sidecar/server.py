"""Runs the HTTP server, with the refresher's thread beside it, and publishes the started file."""

import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from contract.modes import Mode
from contract.termination import SIGNALS
from server.background import BackgroundThread, ThreadLimitError
from server.descriptors import LoopStartError, explain_refusal
from server.listener import Service
from server.log_limit import MAX_DETAIL_CHARACTERS, format_traceback
from server.log_stream import drain_log, exit_process
from server.loop import Loop
from server.settings import Settings
from sidecar.config import Config
from sidecar.credentials.refresher import CredentialRefresher
from sidecar.credentials.state_saver import StateSaver
from sidecar.deadlines import FIRST_RESULT_SECONDS, REFRESH_RESTART_SECONDS
from sidecar.endpoints.handler import create_handler
from sidecar.endpoints.state import EndpointState
from sidecar.errors import TERMINATED, SidecarError, StartError
from sidecar.listeners import bind_metrics
from sidecar.log import emit, log_fatal
from sidecar.original_destination import create_finder
from sidecar.redirect.self_check import verify_redirect
from sidecar.run_directory import StartedFile

if TYPE_CHECKING:
    from sidecar.reachability.monitor import NodeMonitor

MAX_BODY_BYTES = 1024
"""No metadata request needs a body; curl may send one."""

MAX_CONNECTIONS = 512
"""On each loopback address. With more, the one that has waited longest is closed for a new one."""

MAX_METRICS_CONNECTIONS = 16
"""Of Prometheus and the kubelet. A flood from another pod must not use up this pod's memory."""

SETTINGS = Settings(max_buffered_bytes=4 * 1024 * 1024)


class Server:
    """The process after its start: serves requests and refreshes credentials. The kubelet restarts it if it exits."""

    def __init__(
        self,
        config: Config,
        listeners: list[socket.socket],
        started_file: StartedFile,
        refresher: CredentialRefresher,
        saver: StateSaver,
    ) -> None:
        self._config = config
        self._listeners = listeners
        self._started_file = started_file
        self._boot_id = os.urandom(16).hex()
        self._saver = saver
        self._refresher = refresher
        self._monitor = self._create_monitor()
        self._loop: Loop | None = None
        # After an error it starts again: meanwhile the server serves the credentials that it has.
        self._refresh_thread = BackgroundThread(
            "refresh", refresher.run, _report_thread, lambda: time.sleep(REFRESH_RESTART_SECONDS)
        )

    def run(self) -> NoReturn:
        """Serve until SIGTERM or SIGINT. A signal before the sidecar is started counts as a failure."""
        state = EndpointState(
            self._config, lambda: self._refresher.state, self._saver.restored.token_key, self._boot_id
        )
        state.read_state_file_error = lambda: self._saver.error
        self._refresher.observers.append(lambda outcome, _state: state.counters.count_refresh(outcome))
        if monitor := self._monitor:
            state.read_measurement = lambda: monitor.last
            self._refresher.chores.append(monitor.measure_if_due)
        self._refresher.chores += [self._saver.retry, self._refresh_thread.passed]
        try:
            loop = self._loop = Loop(self._build_services(state), SETTINGS, _log_problem, drain_log)
        except (StartError, LoopStartError) as error:
            log_fatal(StartError(str(error)))
            sys.exit(StartError.exit_code)
        for number in SIGNALS:
            signal.signal(number, lambda *_: loop.stop())
        self._start_threads()
        loop.run()
        exit_process(0 if os.path.exists(self._started_file.path) else TERMINATED)

    def _start_threads(self) -> None:
        # Without the started file the pod's other containers wait, and the kubelet says why only if this one ends.
        start = BackgroundThread("start", self._announce_start, _report_thread, lambda: exit_process(1))
        try:
            self._refresh_thread.start()
            start.start()
        except ThreadLimitError as error:
            log_fatal(StartError(str(error)))
            exit_process(StartError.exit_code)

    def _create_monitor(self) -> "NodeMonitor | None":
        if self._config.mode != Mode.ENV:
            return None
        from sidecar.reachability.monitor import NodeMonitor  # noqa: PLC0415 - memory only where it is on

        return NodeMonitor()

    def _build_services(self, state: EndpointState) -> dict[socket.socket, Service]:
        services = dict.fromkeys(self._listeners, Service(create_handler(state), MAX_BODY_BYTES, MAX_CONNECTIONS))
        if self._config.mode == Mode.REDIRECT:
            for listener, service in services.items():
                services[listener] = service._replace(find_destination=create_finder(listener.family))
        if self._config.metrics:
            from sidecar.endpoints.metrics import Health, create_metrics_handler  # noqa: PLC0415 - memory only where it is on

            handler = create_metrics_handler(
                state.counters,
                state.expires_at,
                read_measurement=state.read_measurement,
                health=Health(
                    [self._refresh_thread],
                    lambda: self._loop.problems if self._loop else {},
                    lambda: self._saver.error is None,
                    state.is_serving,
                ),
            )
            services[bind_metrics(self._config.metrics_port)] = Service(handler, 0, MAX_METRICS_CONNECTIONS)
        return services

    def _announce_start(self) -> None:
        """Publish the started file once the pod's network is verified and STS has responded, or had time to."""
        try:
            self._verify_network()
        except SidecarError as error:
            log_fatal(error)
            exit_process(error.exit_code)
        has_result = self._refresher.first_result.wait(FIRST_RESULT_SECONDS)
        self._started_file.publish_when_possible()
        emit("started", mode=self._config.mode, role=self._config.role_arn, sts_responded=has_result)
        if self._monitor and not self._monitor.last:
            try:
                BackgroundThread("measurement", self._monitor.try_to_measure, _report_thread).start()
            except ThreadLimitError:
                self._monitor.try_to_measure()

    def _verify_network(self) -> None:
        """Raise SidecarError if a metadata address leads elsewhere, or in env mode to a service that must be closed."""
        if self._config.mode == Mode.REDIRECT:
            verify_redirect(self._boot_id, self._config.port, self._config.redirected_addresses)
        elif self._monitor and self._config.require_closed_metadata:
            try:
                measurement = self._monitor.measure()
            except OSError as error:
                raise StartError(f"the node's metadata service cannot be measured: {explain_refusal(error)}") from error
            measurement.check_closed()


def _log_problem(reason: str, count: int, detail: str) -> None:
    emit("server-problem", reason=reason, count=count, detail=detail)


def _report_thread(name: str, count: int, error: BaseException) -> None:
    emit("thread-failed", thread=name, count=count, detail=format_traceback(error)[-MAX_DETAIL_CHARACTERS:])
