"""Sidecars with a faulty STS, their good clients, and their faults."""

import http.client
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.soak.child import WARM_UP_SECONDS, Child, few_descriptors, hold_connections, pause
from bench.soak.repeat import Faults, repeating
from bench.soak.shifted_clock import CLOCK_VARIABLE, write_shift
from bench.soak.sts import Script, random_sts
from bench.soak.tally import Tally
from bench.soak.usage import Samples
from testing.sidecars import CREDENTIALS_PATH, build_environ

TOKEN_PATH, LIST_PATH = "/latest/api/token", "/latest/meta-data/iam/security-credentials/"
TTL = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
TIMEOUT_SECONDS = 15
READY_SECONDS = 30
PAUSE_SECONDS = 0.2
MAX_QUIET_SECONDS = 120
"""A refresh is due every few seconds, and one call has a deadline of less than a minute."""

MAX_SHIFT_SECONDS = 600
"""A session lives an hour, so its credentials stay valid through any jump of the clock."""


class BadAnswerError(Exception):
    """A good request got something else than valid credentials."""


class Sidecar:
    """One sidecar with its client."""

    def __init__(self, name: str, directory: Path, sts: tuple[str, Script], tally: Tally) -> None:
        self.name, self.tally = name, tally
        url, self.script = sts
        self._is_overdue = False
        directory.mkdir()
        (directory / "token").write_text("header.payload.signature")
        self.clock = directory / "clock"
        write_shift(self.clock, 0)
        environ = build_environ(directory, url, **{CLOCK_VARIABLE: str(self.clock)})
        self.child = Child(name, [sys.executable, "-m", "bench.soak.shifted_clock", "sidecar"], environ)
        self.port = int(environ["PODROLE_PORT"])

    def start(self) -> None:
        """Start it, and wait until it has credentials."""
        self.child.start()
        self._await_ready()

    def _await_ready(self) -> None:
        ends = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.get_ecs()
            except (OSError, http.client.HTTPException, BadAnswerError) as error:
                if time.monotonic() > ends:
                    end = " / ".join(list(self.child.lines)[-5:])
                    self.tally.record_lost(
                        self.name, f"no credentials {READY_SECONDS} s after a start: {error!r} {end}"
                    )
                    return
                time.sleep(0.05)
            else:
                return

    def get_ecs(self) -> None:
        """Get the credentials as ECS's clients do; raise BadAnswerError, OSError or HTTPException."""
        self._check(self._send("GET", CREDENTIALS_PATH))

    def get_imds(self) -> None:
        """Get a token, the role's name and the credentials as EC2's clients do."""
        token = self._send("PUT", TOKEN_PATH, TTL)
        headers = {"X-aws-ec2-metadata-token": token}
        role = self._send("GET", LIST_PATH, headers)
        self._check(self._send("GET", LIST_PATH + role, headers))

    def _send(self, method: str, path: str, headers: dict[str, str] | None = None) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise BadAnswerError(f"{method} {path}: {response.status} {body[:200]}")
        return body

    def _check(self, body: str) -> None:
        key_id = json.loads(body)["AccessKeyId"]
        if not self.script.is_valid(key_id):
            raise BadAnswerError(f"credentials that are not valid: {key_id}")

    def find_overdue_refresh(self) -> None:
        """Count a loss when the sidecar has stopped to call STS, once until it calls again."""
        seconds = time.monotonic() - self.script.called_at
        if seconds > MAX_QUIET_SECONDS and not self._is_overdue:
            end = " / ".join(list(self.child.lines)[-2:])
            self.tally.record_lost(self.name, f"no call of STS for {seconds:.0f} s: {end}")
        self._is_overdue = seconds > MAX_QUIET_SECONDS

    def send_good_request(self) -> None:
        """Send one request of each kind, and count the outcomes."""
        self.find_overdue_refresh()
        if self.child.interruption.is_on:
            return
        for kind, act in (("ECS", self.get_ecs), ("IMDS", self.get_imds)):
            name, began = f"{self.name}: {kind} requests", time.monotonic()
            try:
                act()
            except Exception as error:  # noqa: BLE001 - any failure of a good request is what the run looks for
                if self.child.interruption.covers(began):
                    self.tally.record_cut(name)
                else:
                    self.tally.record_lost(name, f"{error!r} after {time.monotonic() - began:.2f} s")
            else:
                self.tally.record_good(name, time.monotonic() - began)


class SidecarFaults(Faults):
    """The faults of one sidecar."""

    def __init__(self, sidecar: Sidecar, seed: str, stopping: threading.Event, *, may_end: bool) -> None:
        super().__init__(sidecar.name, seed, sidecar.tally, stopping)
        self._sidecar, self._child = sidecar, sidecar.child
        self._kinds = {
            "SIGKILL of an STS child": (self._kill_child, 3.0),
            "SIGSTOP, SIGCONT": (lambda: pause(self._child.pid, self.random.uniform(0.1, 2)), 1.0),
            "idle connections": (lambda: hold_connections(sidecar.port, self.random.uniform(0.5, 3)), 1.0),
            "no file descriptors": (self._take_descriptors, 1.0),
            "unread log": (self._leave_log, 1.0),
            "clock jump": (self._jump, 2.0),
        }
        if may_end:
            self._kinds["SIGKILL and restart"] = (lambda: self._restart(signal.SIGKILL), 1.0)
            self._kinds["SIGTERM and restart"] = (lambda: self._restart(signal.SIGTERM), 1.0)

    def act_once(self) -> None:
        """One fault."""
        self.act(self._kinds)

    def _kill_child(self) -> None:
        ends = time.monotonic() + 10
        while not (found := self._child.find_children()) and time.monotonic() < ends:
            time.sleep(0.01)
        for process in found:
            process.kill()

    def _take_descriptors(self) -> None:
        with few_descriptors(self._child.pid):
            hold_connections(self._sidecar.port, self.random.uniform(0.5, 2), 20)

    def _leave_log(self) -> None:
        with self._child.unread_log():
            time.sleep(self.random.uniform(3, 20))

    def _jump(self) -> None:
        write_shift(self._sidecar.clock, self.random.uniform(-MAX_SHIFT_SECONDS, MAX_SHIFT_SECONDS))

    def _restart(self, number: signal.Signals) -> None:
        with self._child.interruption.lasting():
            if problem := self._child.end(number):
                self._sidecar.tally.record_lost(self._sidecar.name, problem)
            self._sidecar.start()


@contextmanager
def running_sidecars(
    directory: Path, tally: Tally, seed: str, stopping: threading.Event
) -> Iterator[tuple[list[tuple[Samples, Child]], list[Script]]]:
    """Run one sidecar that lives from the beginning to the end, and one that is ended and restarted."""
    with ExitStack() as stack:
        kept, scripts = [], []
        for name, may_end in (("sidecar", False), ("restarted sidecar", True)):
            sts = stack.enter_context(random_sts(f"{seed} {name} STS"))
            scripts.append(sts[1])
            sidecar = Sidecar(name, directory / name.replace(" ", "-"), sts, tally)
            stack.callback(sidecar.child.close)
            sidecar.start()
            hold_connections(sidecar.port, WARM_UP_SECONDS)
            faults = SidecarFaults(sidecar, f"{seed} {name}", stopping, may_end=may_end)
            stack.enter_context(repeating(sidecar.send_good_request, stopping, lambda: PAUSE_SECONDS))
            stack.enter_context(repeating(faults.act_once, stopping, faults.draw_pause))
            if not may_end:
                kept.append((Samples(name), sidecar.child))
        yield kept, scripts
