"""The composition root of a worker: builds what the webhook and the health server need, and connects both to it.

It imports everything that the arbiter does not need, so only a worker imports it.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from injector.certs.client_ca import ClientCa, VerifyingTls
from injector.certs.cluster_clock import MAX_SKEW_SECONDS
from injector.certs.manager import CertManager
from injector.certs.registration import ServiceName
from injector.certs.state import RotationPolicy
from injector.certs.stores import Stores
from injector.certs.tls import FileTls, MemoryTls, ReloadableTls, Tls
from injector.certs.x509 import build_names
from injector.config import Config
from injector.errors import CertificateError, ClusterError, ConfigError
from injector.heap import release_free_memory
from injector.k8s.manifest_files import ManifestCluster
from injector.k8s.reader import MetadataReader, Reservation
from injector.k8s.version import format_version
from injector.patch.template import load_template
from injector.webhook.app import MAX_BODY_BYTES, create_app, create_health_app
from injector.webhook.certificate_metrics import export_cert_manager, export_drift
from injector.webhook.handler import Admission
from injector.webhook.metrics import Metrics
from injector.webhook.readiness import ReadinessGates
from injector.webhook.workload_warnings import WorkloadReviewer
from server.listener import Service
from server.log_stream import count_dropped_lines
from server.wsgi import WsgiHandler

LOG = logging.getLogger("podrole")


@dataclass(frozen=True, slots=True)
class Services:
    """What a worker serves."""

    webhook: Service
    health: Service


def build_services(config: Config, starts: int, read_problems: Callable[[], Mapping[str, int]]) -> Services:
    """Connect to the cluster and load the certificates; raise ConfigError or ClusterError if a setting is invalid.

    `starts` is how many workers the arbiter has started, this one included.
    """
    metrics, gates = Metrics(starts), ReadinessGates()
    export_process(metrics, read_problems)
    cluster, template = load_cluster(config, metrics, gates), load_template(config)
    admission = Admission(config, cluster.reader, template, metrics.count, cluster.reserve)
    workloads = WorkloadReviewer(config, cluster.reader, template, metrics.count_workload, cluster.reserve_workload)
    tls = load_tls(config, metrics, gates)
    return Services(
        webhook=Service(WsgiHandler(create_app(admission, gates.pending, workloads)), MAX_BODY_BYTES, tls=tls.context),
        health=Service(WsgiHandler(create_health_app(gates.unready, metrics.render)), max_body_bytes=0),
    )


def export_process(metrics: Metrics, read_problems: Callable[[], Mapping[str, int]]) -> None:
    """Export the metrics of the worker's process."""
    metrics.counter_by_reason(
        "podrole_server_problems",
        "Problems of the HTTP server, by reason: connections closed, requests not answered, no descriptors.",
        read_problems,
    )
    metrics.counter(
        "podrole_log_lines_dropped",
        "Lines of the worker's log that were dropped, as nobody read it.",
        count_dropped_lines,
    )


def load_tls(config: Config, metrics: Metrics, gates: ReadinessGates) -> Tls:
    """Load certificates from files, or manage them here; raise ConfigError if the files cannot be loaded."""
    if config.tls_cert and config.tls_key:
        try:
            loaded: ReloadableTls = FileTls(config.tls_cert, config.tls_key)
        except CertificateError as error:
            raise ConfigError(f"PODROLE_TLS_CERT and PODROLE_TLS_KEY: {error}") from error
    else:
        loaded = start_cert_manager(config, metrics, gates)
    tls: Tls = loaded
    if config.client_ca:
        tls = VerifyingTls(loaded, load_client_ca(config.client_ca), config.client_name)
    metrics.gauge(
        "podrole_certificate_expiration_timestamp_seconds",
        "When the serving certificate expires, in seconds since the epoch; NaN without a certificate.",
        lambda: tls.certificate_not_after or math.nan,  # 0 would be 1970, and would raise an alert
    )
    metrics.counter(
        "podrole_certificate_load_failures",
        "Serving certificates that could not be loaded.",
        lambda: tls.load_failures,
    )
    return tls


def load_client_ca(file: Path) -> ClientCa:
    """Load the CAs of clients; raise ConfigError if that fails."""
    try:
        return ClientCa(file)
    except CertificateError as error:
        raise ConfigError(f"PODROLE_CLIENT_CA: {error}") from error


def start_cert_manager(config: Config, metrics: Metrics, gates: ReadinessGates) -> ReloadableTls:
    """Start to manage the certificates. Until there is one, TLS connections are closed and the replica is unready."""
    from injector.k8s import kubeconfig, secret, server_clock, webhook_configuration  # noqa: PLC0415 - takes half a second, not needed for files

    api, tls, server = kubeconfig.load_configuration(), MemoryTls(), server_clock.ServerClock()
    stores = Stores(
        secret.CertificateSecret(api, config.namespace, config.certificate_secret, server),
        webhook_configuration.WebhookConfiguration(api, config.webhook_configuration, server),
        webhook_configuration.WebhookConfiguration(
            api, config.webhook_configuration, server, webhook_configuration.VALIDATING
        ),
    )
    policy = RotationPolicy(build_names(config.service, config.namespace, config.cluster_domain))
    manager = CertManager(stores, tls, policy, server_time=server.now)
    manager.start()
    metrics.add_thread(manager.thread)
    gates.add("waiting for a serving certificate: the log has the cause", lambda: tls.certificate_not_after > 0)
    gates.add("waiting for the CA of the serving certificate to be in every caBundle", lambda: manager.is_ready)
    gates.add_condition(
        f"waiting for the clocks of this node and the API server to differ by at most {MAX_SKEW_SECONDS} s",
        manager.clock.is_right,
    )
    export_cert_manager(manager, metrics)
    export_drift(manager, ServiceName(config.namespace, config.service), metrics)
    return tls


class ClusterAccess(NamedTuple):
    """The reader of namespaces and ServiceAccounts, and what lets reviews wait for it."""

    reader: MetadataReader
    reserve: Callable[[str], Reservation] | None = None
    reserve_workload: Callable[[str], Reservation | None] = lambda _namespace: None


def load_cluster(config: Config, metrics: Metrics, gates: ReadinessGates) -> ClusterAccess:
    """Connect to the cluster, or read manifests instead if they are configured."""
    if config.manifests is not None:
        manifests = ManifestCluster(config.manifests)
        metrics.denials.knows_namespace = lambda name: manifests.namespace(name) is not None
        return ClusterAccess(manifests)
    from injector.k8s import kubeconfig, watch_cache  # noqa: PLC0415 - takes half a second and 13 MiB, not needed for manifests

    def count_restart(kind: str, reason: str) -> None:
        metrics.count_watch_restart(kind, reason)
        release_free_memory()  # a watch ends about once a minute

    cluster = watch_cache.CachedReader(
        kubeconfig.load_configuration(),
        metrics.count_live_read,
        count_restart,
        on_refused=metrics.count_refused_read,
    )
    metrics.denials.knows_namespace = cluster.knows_namespace
    try:
        version = cluster.version()
        LOG.info("Kubernetes version: %s", format_version(version) if version else "unknown")
    except ClusterError as error:  # a later read can succeed
        LOG.warning("%s", error)
    cluster.start()
    for thread in cluster.threads:
        metrics.add_thread(thread)
    gates.add("waiting for the first list of namespaces and ServiceAccounts", lambda: cluster.is_synced)
    metrics.gauge_by_kind(
        "podrole_watch_last_event_timestamp_seconds",
        "When the last event or bookmark arrived, in seconds since the epoch; NaN before the first one.",
        cluster.last_event_timestamps,
    )
    return ClusterAccess(cluster, cluster.reserve, cluster.reserve_workload)
