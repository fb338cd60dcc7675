"""The reconcile loop of the self-managed certificates: reads the objects, takes the next step, serves the result."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from injector.certs.ca_store import (
    Document,
    SecretState,
    build_ca_bundle_patch,
    build_date_patch,
    build_secret,
    parse_secret,
    parse_webhook_configuration,
)
from injector.certs.cluster_clock import ClusterClock
from injector.certs.follower import follow
from injector.certs.rotation import choose_serving_cert, next_step
from injector.certs.state import ObservedState, PatchCaBundle, RotationPolicy, ServingCert, UpdateSecret
from injector.certs.stores import Stores
from injector.certs.tls import MemoryTls
from injector.deadlines import CERT_MIN_INTERVAL_SECONDS
from injector.errors import CertificateError, ClusterError, ConflictError
from injector.log import report_thread
from server.background import BackgroundThread
from server.clocks import read_boottime
from server.log_limit import LogLimit, find_place

LOG = logging.getLogger("podrole.certificates")

MAX_STEPS = 16
"""In one reconciliation: more than any rotation has, including as many conflicts. The next one continues."""

FIRST_PROGRESS_SECONDS = 2
PROGRESS_SECONDS = 30
"""When a start without a certificate first logs that it waits, and how often it repeats that."""


class CertManager:
    """One replica's reconcile loop."""

    ca_bundle_in_sync = False
    """Whether the caBundle of every webhook was the bundle of the Secret at the last reconciliation."""

    is_ready = False
    """Whether every caBundle has contained the CA of our serving certificate. Stays True: a later loss is repaired,
    and must not make all replicas unready at once."""

    rotations = 0
    """How many times this replica updated the Secret."""

    reconcile_errors = 0
    """How many reconciliations failed."""

    configuration: Document | None = None
    """The webhook configuration as it was read last; None if it did not exist."""

    has_read_configuration = False
    warnings: Document | None = None
    """The configuration of the webhook that only warns, as it was read last; None if it was not, or does not exist."""

    def __init__(
        self,
        stores: Stores,
        tls: MemoryTls,
        policy: RotationPolicy,
        clock: Callable[[], float] = time.time,
        server_time: Callable[[], float | None] = lambda: None,
    ) -> None:
        """`clock` is this machine's; both return seconds since the epoch."""
        self._stores = stores
        self._tls = tls
        self._policy = policy
        self.clock = ClusterClock(clock, server_time)
        self._logged_problems: list[str] = []
        self._error_limit, self._step_limit = LogLimit(), LogLimit()
        self.thread = BackgroundThread("certificates", self._run, report_thread)
        """A daemon. After an error it starts again: the process has a certificate that clients trust, and no other."""

        self.serving_cert: ServingCert | None = None

    def start(self) -> None:
        """Start the loop in its thread, and return at once."""
        self.thread.start()

    def wait_for_certificate(self) -> None:
        """Reconcile until there is a certificate to serve; log why there is none."""
        started = time.monotonic()
        due = started + FIRST_PROGRESS_SECONDS
        while self.serving_cert is None:
            self._try_reconcile()
            if self.serving_cert is None:
                if time.monotonic() >= due:
                    due = time.monotonic() + PROGRESS_SECONDS
                    LOG.info("no serving certificate after %.0f s: retrying", time.monotonic() - started)
                time.sleep(CERT_MIN_INTERVAL_SECONDS)

    def reconcile(self) -> str | None:
        """Take every step that is due; return the resourceVersion of the configuration that was read last."""
        problems: list[str] = []
        version = None
        secret_state = SecretState()
        for _ in range(MAX_STEPS):
            # In this order: a replica that is paused after these reads cannot overwrite a newer caBundle with an
            # outdated one, because the newer one changed the configuration, and the patch fails.
            configuration = self._stores.configuration.read()
            self.configuration, self.has_read_configuration = configuration, True
            secret = self._stores.secret.read()
            version = configuration["metadata"]["resourceVersion"] if configuration else None
            state = self._observe(configuration, secret)
            secret_state = state.secret
            problems += [f"{self._stores.secret.description}: {problem}" for problem in state.secret.problems]
            if state.ca_bundle is None:
                name = self._stores.configuration.description
                problems.append(f"{name} does not exist or has no webhooks: apply the manifests")
            state = self._switch_certificate(state, problems)
            if wrong_clock := self.clock.describe_problem():
                problems.append(wrong_clock)
                break  # nothing could be issued at some times, such as in 9999
            step = next_step(state, self._policy)
            if step is None:
                break
            self._apply(step, configuration, secret)
        else:
            self.reconcile_errors += 1
            problems.append(self._describe_no_effect())
        problems += self._update_warnings(secret_state)
        self._log_problems(problems)
        self.thread.passed()
        return version

    def _describe_no_effect(self) -> str:
        objects = f"{self._stores.secret.description} or {self._stores.configuration.description}"
        return (
            f"{MAX_STEPS} writes in a row had no effect: another client changes {objects} each time, or the API server"
            " does not store what it accepts"
        )

    def _update_warnings(self, secret: SecretState) -> list[str]:
        if not secret.cas or self._stores.warnings is None:
            return []
        problem = follow(self._stores.warnings, secret.cas, self.clock.now(), self._remember_warnings)
        return [problem] if problem else []

    def _remember_warnings(self, configuration: Document | None) -> None:
        self.warnings = configuration

    def _observe(self, configuration: Document | None, secret: Document | None) -> ObservedState:
        ca_bundle = parse_webhook_configuration(configuration)
        state = ObservedState(
            parse_secret(secret), ca_bundle, self.serving_cert, self.clock.now(), self.clock.is_server_time
        )
        cas = state.secret.cas
        self.ca_bundle_in_sync = bool(cas) and ca_bundle is not None and ca_bundle.contains_exactly(cas)
        return state

    def _switch_certificate(self, state: ObservedState, problems: list[str]) -> ObservedState:
        chosen = choose_serving_cert(state, self._policy)
        if chosen is not None and chosen != self.serving_cert:
            try:
                self._tls.install(chosen.pair)
            except CertificateError as error:
                problems.append(f"the new serving certificate is not in use yet: {error}")
            else:
                self.serving_cert = chosen
                expiry = datetime.fromtimestamp(chosen.pair.certificate.not_after, UTC)
                LOG.info("serving certificate valid until %s", expiry)
        if self.serving_cert and state.ca_bundle and state.ca_bundle.trusts(self.serving_cert.issuer):
            self.is_ready = True
        return replace(state, serving_cert=self.serving_cert)

    def _apply(
        self, step: UpdateSecret | PatchCaBundle, configuration: Document | None, secret: Document | None
    ) -> None:
        try:
            if isinstance(step, UpdateSecret):
                self._update_secret(step, configuration, secret)
            elif configuration is not None:
                self._stores.configuration.patch(build_ca_bundle_patch(configuration, step.cas, self.clock.now()))
                self._log_step("patch", f"{self._stores.configuration.description}: caBundle set ({len(step.cas)} CAs)")
        except ConflictError as error:
            self._log_step(type(step).__name__, f"{error}: reading it again")

    def _update_secret(self, step: UpdateSecret, configuration: Document | None, secret: Document | None) -> None:
        if step.has_new_ca and configuration is not None:
            # Such a Secret has the CAs of the caBundle that are in use, so the caBundle must still be the one that was
            # read, and must stay it until the write: this patch fails in the first case, and makes the patches of all
            # other replicas fail in the second.
            self._stores.configuration.patch(build_date_patch(configuration, self.clock.now()))
            # It can have jumped since the pass compared it, or the answers come from API servers whose clocks differ.
            if wrong_clock := self.clock.describe_problem():
                raise ClusterError(wrong_clock)
        self._stores.secret.write(build_secret(secret, step.secret))
        self.rotations += 1
        self._log_step(step.description, f"{self._stores.secret.description} updated: {step.description}")

    def _log_step(self, kind: str, message: str) -> None:
        """Log at most one line of a kind in a minute: others can undo each step, for ever."""
        if count := self._step_limit.count(kind, read_boottime()):
            LOG.info("%s%s", message, f" ({count} times since the last line)" if count > 1 else "")

    def _run(self) -> None:
        self.wait_for_certificate()
        while True:
            started = time.monotonic()
            version = self._try_reconcile()
            self._wait_for_change(version)
            time.sleep(max(0.0, started + CERT_MIN_INTERVAL_SECONDS - time.monotonic()))

    def _try_reconcile(self) -> str | None:
        try:
            return self.reconcile()
        except ClusterError as error:
            self._log_problems([str(error)])
        except Exception as error:
            if count := self._error_limit.count(find_place(error), read_boottime()):
                message = "reconciling the certificates failed (%d since the last line): the current certificate stays"
                LOG.exception(message, count)
        self.reconcile_errors += 1
        return None

    def _wait_for_change(self, version: str | None) -> None:
        if version is not None:
            try:
                self._stores.configuration.wait_for_change(version, self._policy.poll_seconds)
            except ClusterError as error:
                LOG.debug("%s", error)  # the next reconciliation fails in the same way, and logs it
            else:
                return
        time.sleep(self._policy.poll_seconds)

    def _log_problems(self, problems: list[str]) -> None:
        """Log each problem once while it lasts, and when all are resolved."""
        problems = list(dict.fromkeys(problems))
        for problem in problems:
            if problem not in self._logged_problems:
                LOG.error("%s", problem)
        if self._logged_problems and not problems:
            LOG.info("certificate problems resolved")
        self._logged_problems = problems
