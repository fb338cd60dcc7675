"""The metrics of the self-managed certificates and of the webhook configuration."""

import math
from collections.abc import Mapping

from injector.certs.manager import CertManager
from injector.certs.registration import FIELDS, ServiceName, can_refuse_workloads, find_drift
from injector.webhook.metrics import Metrics

WARNINGS = "warnings"
"""Stands for the webhook that only warns, beside the fields of the webhook for pods."""


def export_drift(manager: CertManager, service: ServiceName, metrics: Metrics) -> None:
    """Export how the webhook configuration differs from the manifests'."""

    def read() -> Mapping[str, float | None]:
        if not manager.has_read_configuration:
            return dict.fromkeys((*FIELDS, WARNINGS))
        return find_drift(manager.configuration, service) | {WARNINGS: can_refuse_workloads(manager.warnings)}

    description = "1 if this field of the webhook for pods differs from the manifests in a way that matters, else 0."
    metrics.gauge_by_field("podrole_webhook_configuration_drift", description, read)


def export_cert_manager(manager: CertManager, metrics: Metrics) -> None:
    """Export the metrics of the self-managed certificates."""
    metrics.gauge(
        "podrole_ca_bundle_in_sync",
        "1 if the caBundle of every webhook equals the CAs in the Secret, else 0.",
        lambda: manager.ca_bundle_in_sync,
    )
    metrics.gauge(
        "podrole_clock_skew_seconds",
        "How far this replica's clock is ahead of the API server's; NaN while the latter is unknown.",
        lambda: math.nan if (skew := manager.clock.skew()) is None else skew,
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
