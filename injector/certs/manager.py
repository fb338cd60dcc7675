"""Keeps the self-managed certificates: looks at the cluster, takes the next step, serves the leaf. Decides nothing."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Thread
from typing import Protocol

from injector.certs.ca_store import (
    Document,
    build_ca_bundle_patch,
    build_secret,
    parse_secret,
    parse_webhook_configuration,
)
from injector.certs.rotation import choose_serving_cert, next_step
from injector.certs.state import ObservedState, PatchCaBundle, RotationPolicy, ServingCert, UpdateSecret
from injector.certs.tls import MemoryTls
from injector.errors import CertificateError, ClusterError, ConflictError

LOG = logging.getLogger("podrole.certificates")

MIN_PASS_SECONDS = 1
"""Between two passes at least, also where somebody else changes the configuration back each time."""

MAX_STEPS = 16
"""In one pass; more than any rotation has, with as many lost races. The next pass goes on."""

QUIET_SECONDS = 2
PROGRESS_SECONDS = 30
"""When a start that still has no certificate says so, and how often again."""


class SecretStore(Protocol):
    """The Secret; see `injector.k8s.secret`."""

    @property
    def description(self) -> str:
        """Kind and name."""

    def read(self) -> Document | None:
        """The Secret, or None if there is none."""

    def write(self, document: Document) -> None:
        """Write it; ConflictError where it has changed since it was read."""


class ConfigurationStore(Protocol):
    """The webhook configuration; see `injector.k8s.webhook_configuration`."""

    @property
    def description(self) -> str:
        """Kind and name."""

    def read(self) -> Document | None:
        """The configuration, or None if there is none."""

    def patch(self, change: Document) -> None:
        """Apply a strategic merge patch; ConflictError where it has changed since it was read."""

    def wait_for_change(self, resource_version: str, seconds: int) -> bool:
        """Wait for a change after this version, for so many seconds at most; return whether there was one."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Both objects, over connections of their own."""

    secret: SecretStore
    configuration: ConfigurationStore


class CertManager:
    """One replica's part in the care for the certificates."""

    ca_bundle_in_sync = False
    """Whether every webhook showed the bundle of the Secret when it was last looked at."""

    is_ready = False
    """Whether API servers have once been told of the authority of our leaf. A later loss is repaired, and no reason
    to take every replica out at once."""

    rotations = 0
    """How many times this replica wrote the Secret."""

    publications = 0
    """How many times it wrote the caBundle."""

    reconcile_errors = 0
    """How many passes did not come to their end."""

    def __init__(
        self, stores: Stores, tls: MemoryTls, policy: RotationPolicy, clock: Callable[[], float] = time.time
    ) -> None:
        self._stores = stores
        self._tls = tls
        self._policy = policy
        self._clock = clock
        self._served: ServingCert | None = None
        self._logged_problems: list[str] = []

    def start(self) -> Thread:
        """Take care from now on, in a thread that ends with the process. It waits for nothing."""
        thread = Thread(target=self._run, name="certificates", daemon=True)
        thread.start()
        return thread

    def wait_for_certificate(self) -> None:
        """Return when there is a leaf to serve; while there is none, say why and try again."""
        started = time.monotonic()
        due = started + QUIET_SECONDS
        while self._served is None:
            self._attempt()
            if self._served is None:
                if time.monotonic() >= due:
                    due = time.monotonic() + PROGRESS_SECONDS
                    LOG.info("no certificate yet after %.0f s: trying each second", time.monotonic() - started)
                time.sleep(MIN_PASS_SECONDS)

    def reconcile(self) -> str | None:
        """One pass: take every step that can be taken now; give the version of the configuration that was seen last."""
        problems: list[str] = []
        version = None
        for _ in range(MAX_STEPS):
            # In this order: whoever then publishes an outdated bundle, having slept in between, fails, as the newer
            # one that it would replace has changed the configuration since.
            configuration = self._stores.configuration.read()
            secret = self._stores.secret.read()
            version = configuration["metadata"]["resourceVersion"] if configuration else None
            state = self._observe(configuration, secret)
            problems += [f"{self._stores.secret.description}: {problem}" for problem in state.secret.problems]
            if state.ca_bundle is None:
                problems.append(f"{self._stores.configuration.description} is not there, or has no webhooks: apply it")
            state = self._serve(state, problems)
            step = next_step(state, self._policy)
            if step is None:
                break
            self._apply(step, configuration, secret)
        self._log_problems(problems)
        return version

    def _observe(self, configuration: Document | None, secret: Document | None) -> ObservedState:
        ca_bundle = parse_webhook_configuration(configuration)
        state = ObservedState(parse_secret(secret), ca_bundle, self._served, self._clock())
        cas = state.secret.cas
        self.ca_bundle_in_sync = bool(cas) and ca_bundle is not None and ca_bundle.contains_exactly(cas)
        return state

    def _serve(self, state: ObservedState, problems: list[str]) -> ObservedState:
        chosen = choose_serving_cert(state, self._policy)
        if chosen is not None and chosen != self._served:
            try:
                self._tls.install(chosen.pair)
            except CertificateError as error:
                problems.append(f"the new leaf is not served yet: {error}")
            else:
                self._served = chosen
                LOG.info(
                    "a leaf is served that ends %s", datetime.fromtimestamp(chosen.pair.certificate.not_after, UTC)
                )
        if self._served and state.ca_bundle and state.ca_bundle.trusts(self._served.issuer):
            self.is_ready = True
        return replace(state, served=self._served)

    def _apply(
        self, step: UpdateSecret | PatchCaBundle, configuration: Document | None, secret: Document | None
    ) -> None:
        try:
            if isinstance(step, UpdateSecret):
                self._stores.secret.write(build_secret(secret, step.secret))
                self.rotations += 1
                LOG.info("%s: wrote %s", self._stores.secret.description, step.what)
            elif configuration is not None:
                self._stores.configuration.patch(build_ca_bundle_patch(configuration, step.cas, self._clock()))
                self.publications += 1
                LOG.info("%s: set caBundle (%d authorities)", self._stores.configuration.description, len(step.cas))
        except ConflictError as error:
            LOG.info("%s: reading it again", error)

    def _run(self) -> None:
        self.wait_for_certificate()
        while True:
            started = time.monotonic()
            version = self._attempt()
            self._wait_for_change(version)
            time.sleep(max(0.0, started + MIN_PASS_SECONDS - time.monotonic()))

    def _attempt(self) -> str | None:
        try:
            return self.reconcile()
        except ClusterError as error:
            self._log_problems([str(error)])
        except Exception:
            LOG.exception("a pass over the certificates failed; what is served stays, and the next pass tries again")
        self.reconcile_errors += 1
        return None

    def _wait_for_change(self, version: str | None) -> None:
        if version is not None:
            try:
                self._stores.configuration.wait_for_change(version, self._policy.period_seconds)
            except ClusterError as error:
                LOG.debug("%s", error)  # the next pass meets the same trouble, and says so
            else:
                return
        time.sleep(self._policy.period_seconds)

    def _log_problems(self, problems: list[str]) -> None:
        """Say each thing once for as long as it lasts, and when all of them are over."""
        problems = list(dict.fromkeys(problems))
        for problem in problems:
            if problem not in self._logged_problems:
                LOG.error("%s", problem)
        if self._logged_problems and not problems:
            LOG.info("the certificates are well again")
        self._logged_problems = problems
