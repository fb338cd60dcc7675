"""The table of all checks of a cluster, and the function that runs them."""

from collections.abc import Mapping
from dataclasses import replace

from injector.errors import ConfigError
from podrole.diagnosis.agents.check import check_agent_settings
from podrole.diagnosis.agents.removal import check_removal
from podrole.diagnosis.cluster.issuer import check_issuer
from podrole.diagnosis.cluster.namespaces import check_labels, check_modes, check_rejected_workloads
from podrole.diagnosis.cluster.nodes import check_api_server, check_kubelets, check_node_platforms
from podrole.diagnosis.cluster.other_injectors import check_irsa, check_node_agents, check_webhooks
from podrole.diagnosis.installation.drift import check_drift, check_warnings
from podrole.diagnosis.installation.guard import check_guard
from podrole.diagnosis.installation.registration import (
    check_ca_bundle,
    check_certificate,
    check_endpoints,
    check_registration,
)
from podrole.diagnosis.installation.risky_settings import check_risky_settings
from podrole.diagnosis.installation.settings_in_force import check_settings_in_force
from podrole.diagnosis.probes import check_probes
from podrole.diagnosis.state.check_context import Check, CheckContext
from podrole.diagnosis.state.cluster import ClusterState
from podrole.diagnosis.state.installed_config import build_effective_config
from podrole.diagnosis.workloads.dry_run import check_dry_runs
from podrole.findings import Finding, Level, Section, limit_findings

KUBERNETES = "Kubernetes"
OTHER_INJECTORS = "Other webhooks and node agents"
NAMESPACES = "Namespaces"
WEBHOOK = "Webhook"
WORKLOADS = "Workloads"
PROBES = "Probe pods"
CONFIGURATION = "Webhook configuration"
SETTINGS = "Settings in force"

CHECKS = (
    Check(
        KUBERNETES,
        "whether the API server supports native sidecars",
        lambda cluster: [cluster.installation.version],
        check_api_server,
    ),
    Check(
        KUBERNETES,
        "whether all kubelets support native sidecars",
        lambda cluster: [cluster.nodes, cluster.installation.version],
        check_kubelets,
    ),
    Check(KUBERNETES, "the nodes' platforms", lambda cluster: [cluster.nodes], check_node_platforms),
    Check(
        KUBERNETES,
        "whether AWS can verify the pods' tokens",
        lambda cluster: [cluster.issuer],
        check_issuer,
    ),
    Check(
        OTHER_INJECTORS,
        "which webhooks change pods",
        lambda cluster: [cluster.installation.webhooks],
        check_webhooks,
    ),
    Check(
        OTHER_INJECTORS,
        "whether IRSA's webhook changes the same pods",
        lambda cluster: [cluster.installation.webhooks, cluster.namespaces, cluster.service_accounts],
        check_irsa,
    ),
    Check(
        OTHER_INJECTORS,
        "whether node agents provide AWS credentials",
        lambda cluster: [cluster.daemon_sets],
        check_node_agents,
    ),
    Check(
        OTHER_INJECTORS,
        "the settings of kube2iam and Kiam",
        lambda cluster: [cluster.daemon_sets, cluster.agent_servers, cluster.agent_config_maps],
        lambda context: iter(limit_findings(check_agent_settings(context))),
    ),
    Check(
        OTHER_INJECTORS,
        "which pods would reach the node's role without kube2iam or Kiam",
        lambda cluster: [cluster.daemon_sets, cluster.agent_pods],
        check_removal,
    ),
    Check(NAMESPACES, "which namespaces are labelled", lambda cluster: [cluster.namespaces], check_labels),
    Check(NAMESPACES, "the mode of each namespace", lambda cluster: [cluster.namespaces], check_modes),
    Check(
        WEBHOOK,
        "whether the webhook is registered",
        lambda cluster: [cluster.installation.webhooks, cluster.installation.deployment],
        check_registration,
    ),
    Check(
        WEBHOOK,
        "whether somebody changed the webhook",
        lambda cluster: [cluster.installation.webhooks],
        check_drift,
    ),
    Check(
        WEBHOOK,
        "whether applied workloads get warnings",
        lambda cluster: [cluster.installation.deployment, cluster.warnings],
        check_warnings,
    ),
    Check(
        WEBHOOK,
        "whether the caBundle is valid",
        lambda cluster: [cluster.installation.webhooks],
        check_ca_bundle,
    ),
    Check(
        WEBHOOK,
        "whether the serving certificate is trusted",
        lambda cluster: [cluster.installation.webhooks, cluster.certificate],
        check_certificate,
    ),
    Check(
        WEBHOOK,
        "whether a pod of the webhook is ready",
        lambda cluster: [cluster.installation.webhooks, cluster.service, cluster.endpoint_slices],
        check_endpoints,
    ),
    Check(
        WEBHOOK,
        "whether the guard's policies are in effect",
        lambda cluster: [
            cluster.installation.deployment,
            cluster.installation.policies,
            cluster.installation.policy_bindings,
        ],
        lambda context: check_guard(context.installation),
    ),
    Check(WEBHOOK, "whether the webhook answers", lambda cluster: [cluster.dry_runs], check_dry_runs),
    Check(
        WORKLOADS,
        "whether podrole rejects new pods of a workload",
        lambda cluster: [cluster.rejected_workloads],
        check_rejected_workloads,
    ),
    Check(PROBES, "what the probe pods reach", lambda cluster: [cluster.probes], check_probes),
    Check(
        CONFIGURATION,
        "whether a setting is unsafe",
        lambda cluster: [cluster.installation.deployment, cluster.installation.config_maps],
        check_risky_settings,
    ),
    Check(
        SETTINGS,
        "which settings are in force",
        lambda cluster: [cluster.installation.deployment, cluster.installation.config_maps],
        check_settings_in_force,
    ),
)


def diagnose_cluster(cluster: ClusterState, environ: Mapping[str, str], now: float) -> list[Section]:
    """Run every check; `environ` is the caller's, `now` in seconds since the epoch."""
    context = build_check_context(cluster, environ, now)
    titles = dict.fromkeys(check.title for check in CHECKS)
    return [
        Section(title, tuple(finding for check in CHECKS if check.title == title for finding in _run(check, context)))
        for title in titles
    ]


def build_check_context(cluster: ClusterState, environ: Mapping[str, str], now: float) -> CheckContext:
    """Add the webhook's configuration to what was read."""
    deployed_env = cluster.installation.deployed_env
    context = CheckContext(cluster, now, deployed_env, own_environ=environ)
    try:
        return replace(context, effective_config=build_effective_config(deployed_env, environ))
    except ConfigError as error:
        return replace(context, config_error=str(error))


def _run(check: Check, context: CheckContext) -> list[Finding]:
    errors = [result.error for result in check.requires(context.cluster) if result.error]
    if errors:
        return [Finding(Level.UNKNOWN, "ReadFailed", f"Cannot determine {check.subject}: {'; '.join(errors)}.", "")]
    return [*check.find(context)]
