"""The composition root of the webhook: `python -m injector`. Exits with code 2 if a setting is invalid."""

import logging
import math
import os
import signal
import socket
import sys
from types import FrameType

from contract.modes import CredentialSource
from injector.certs.manager import CertManager, Stores
from injector.certs.state import RotationPolicy
from injector.certs.tls import FileTls, MemoryTls, Tls
from injector.certs.x509 import build_names
from injector.config import Config
from injector.errors import CertificateError, ClusterError, ConfigError
from injector.k8s.manifest_files import ManifestReader
from injector.k8s.reader import MetadataReader
from injector.k8s.version import format_version
from injector.patch.template import load_template
from injector.webhook.app import MAX_BODY_BYTES, create_app, create_health_app
from injector.webhook.decision_log import set_up_logging
from injector.webhook.handler import Admission
from injector.webhook.metrics import Metrics
from injector.webhook.readiness import ReadinessGates
from server.listener import Service
from server.loop import Loop
from server.settings import Settings
from server.wsgi import WsgiHandler

LOG = logging.getLogger("podrole")

BACKLOG = 1024
SETTINGS = Settings(
    keepalive_seconds=75,  # the API server reuses connections, and a TLS handshake costs more than a review
    graceful_seconds=10,
    linger_seconds=3,  # the API server does not retry a review that is cut off
    max_threads=4,  # for reviews that the cache cannot answer: each waits for a read of the API server
    max_buffered_bytes=32 * 1024 * 1024,
)


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, _terminate)
    set_up_logging()
    try:
        config = Config.from_environ(os.environ, with_tls=True)
        services = build_services(config)
    except (ConfigError, ClusterError) as error:
        sys.stderr.write(f"podrole-injector: {error}\n")
        sys.exit(ConfigError.exit_code)
    if config.credential_source == CredentialSource.NODE:
        LOG.warning(
            "PODROLE_CREDENTIAL_SOURCE=node is unsafe: every sidecar uses the node's role, and so can any container "
            "that runs as the sidecar's user. Use web identities."
        )
    for listener, service in services.items():
        address, port = listener.getsockname()[:2]
        host = f"[{address}]" if ":" in address else address
        LOG.info("Listening at: %s://%s:%s", "https" if service.tls else "http", host, port)
    loop = Loop(services, SETTINGS, _log_problem)
    signal.signal(signal.SIGTERM, lambda *_: loop.stop())
    loop.run()


def build_services(config: Config) -> dict[socket.socket, Service]:
    """Build both services, by listener; raise ConfigError or ClusterError."""
    metrics, gates = Metrics(), ReadinessGates()
    listeners = bind(config, config.health_port), bind(config, config.webhook_port)
    admission = Admission(config, load_cluster(config, metrics, gates), load_template(config), metrics.count)
    tls = load_tls(config, metrics, gates)
    health = Service(WsgiHandler(create_health_app(gates.pending, metrics.render)), max_body_bytes=0)
    webhook = Service(WsgiHandler(create_app(admission, gates.pending)), MAX_BODY_BYTES, tls=tls.context)
    return dict(zip(listeners, (health, webhook), strict=True))


def bind(config: Config, port: int) -> socket.socket:
    """Listen on the configured address, or on all IPv4 and IPv6 addresses; raise ConfigError if that fails."""
    host = config.webhook_host or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")  # noqa: S104 - called from outside
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::")
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}") from error


def load_tls(config: Config, metrics: Metrics, gates: ReadinessGates) -> Tls:
    """Load certificates from files, or manage them here; raise ConfigError if the files cannot be loaded."""
    if config.tls_cert and config.tls_key:
        try:
            tls: Tls = FileTls(config.tls_cert, config.tls_key)
        except CertificateError as error:
            raise ConfigError(f"PODROLE_TLS_CERT and PODROLE_TLS_KEY: {error}") from error
    else:
        tls = start_cert_manager(config, metrics, gates)
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


def start_cert_manager(config: Config, metrics: Metrics, gates: ReadinessGates) -> Tls:
    """Start to manage the certificates. Until there is one, TLS connections are closed and the replica is unready."""
    from injector.k8s import kubeconfig, secret, webhook_configuration  # noqa: PLC0415 - takes half a second, not needed for files

    api, tls = kubeconfig.load_configuration(), MemoryTls()
    stores = Stores(
        secret.CertificateSecret(api, config.namespace, config.certificate_secret),
        webhook_configuration.WebhookConfiguration(api, config.webhook_configuration),
    )
    manager = CertManager(
        stores, tls, RotationPolicy(build_names(config.service, config.namespace, config.cluster_domain))
    )
    manager.start()
    gates.add("waiting for a serving certificate: the log has the cause", lambda: tls.certificate_not_after > 0)
    gates.add("waiting for the CA of the serving certificate to be in every caBundle", lambda: manager.is_ready)
    export_cert_manager(manager, metrics)
    return tls


def export_cert_manager(manager: CertManager, metrics: Metrics) -> None:
    """Export the metrics of the self-managed certificates."""
    metrics.gauge(
        "podrole_ca_bundle_in_sync",
        "1 if the caBundle of every webhook equals the CAs in the Secret, else 0.",
        lambda: manager.ca_bundle_in_sync,
    )
    metrics.counter(
        "podrole_certificate_rotations",
        "Updates of the certificate Secret by this replica.",
        lambda: manager.rotations,
    )
    metrics.counter(
        "podrole_certificate_reconcile_errors",
        "Reconciliations of the certificates that failed.",
        lambda: manager.reconcile_errors,
    )


def load_cluster(config: Config, metrics: Metrics, gates: ReadinessGates) -> MetadataReader:
    """Connect to the cluster, or read manifests instead if they are configured."""
    if config.manifests is not None:
        return ManifestReader(config.manifests)
    from injector.k8s import kubeconfig, watch_cache  # noqa: PLC0415 - takes half a second and 13 MiB, not needed for manifests

    cluster = watch_cache.CachedReader(
        kubeconfig.load_configuration(), metrics.count_live_read, metrics.count_watch_restart
    )
    try:
        version = cluster.version()
        LOG.info("Kubernetes version: %s", format_version(version) if version else "unknown")
    except ClusterError as error:  # a later read can succeed
        LOG.warning("%s", error)
    cluster.start()
    gates.add("waiting for the first list of namespaces and ServiceAccounts", lambda: cluster.is_synced)
    metrics.gauge_by_kind(
        "podrole_watch_last_event_timestamp_seconds",
        "When the last event or bookmark arrived, in seconds since the epoch; NaN before the first one.",
        cluster.last_event_timestamps,
    )
    return cluster


def _log_problem(reason: str, count: int, detail: str) -> None:
    LOG.error("%s (%d since the last line): %s", reason, count, detail)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)  # nothing is served yet


if __name__ == "__main__":
    main()
