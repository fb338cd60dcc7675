"""Checks of other webhooks that change pods and node agents that provide AWS credentials."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from injector.k8s.objects import Object, parse_metadata, read_mapping, read_objects
from injector.metadata_keys import IRSA_ROLE
from podrole.diagnosis.cluster.findings import OtherInjectors
from podrole.diagnosis.state.check_context import CheckContext, join_names, read_name
from podrole.diagnosis.state.webhooks import IRSA as IRSA_NAMES
from podrole.diagnosis.state.webhooks import Webhook, has_irsa, list_pod_webhooks
from podrole.findings import Finding


class KnownProduct(NamedTuple):
    """A product that is recognised by its name, and how it interacts with podrole."""

    pattern: str
    name: str
    meaning: str
    remedy: str = ""


REVERTED = (
    "podrole reverts its changes to podrole's containers when it is called again, "
    "except for images that PODROLE_IMAGE_REWRITES allows"
)
IRSA = "IRSA and EKS Pod Identity"
WEBHOOKS = (
    KnownProduct(
        IRSA_NAMES.pattern,
        IRSA,
        "pods whose ServiceAccount has eks.amazonaws.com/role-arn, or an association, get its variables",
    ),
    KnownProduct(
        r"istio", "Istio", "its rules apply after podrole's in the pod, and its proxy receives no metadata requests"
    ),
    KnownProduct(r"linkerd", "Linkerd", "its rules apply after podrole's in the pod"),
    KnownProduct(
        r"vault",
        "Vault's agent",
        "with agent-init-first it inserts itself first, and podrole then inserts itself before it again",
    ),
    KnownProduct(r"kyverno", "Kyverno", REVERTED),
    KnownProduct(r"gatekeeper", "Gatekeeper", REVERTED),
    KnownProduct(r"aws-load-balancer|elbv2", "the AWS Load Balancer Controller", "it adds only readiness gates"),
    KnownProduct(r"vpc-resource", "the VPC resource controller", "it adds only resources of network interfaces"),
    KnownProduct(r"dapr", "Dapr", "its sidecar gets the pod's role like any other container"),
    KnownProduct(r"azure-wi|azure-workload-identity", "Azure Workload Identity", "its variables concern only Azure"),
)
"""By the names of the webhook and its configuration. The first match counts."""

AGENT = "In redirect mode the sidecar answers instead of it. In env mode, requests to 169.254.169.254 still reach it."
REMOVE_AGENT = "Remove it once all namespaces are migrated, in the order of docs/migration.md."
NODE_AGENTS = (
    KnownProduct(
        r"kube2iam",
        "kube2iam",
        f"{AGENT} It passes all other requests of pods to the node's metadata service; podrole answers them with 404.",
        REMOVE_AGENT,
    ),
    KnownProduct(
        r"kiam",
        "Kiam",
        AGENT,
        REMOVE_AGENT,
    ),
    KnownProduct(
        r"eks-pod-identity-agent",
        "the EKS Pod Identity agent",
        "Its associations are not in the Kubernetes API. In redirect mode 169.254.170.23 reaches the sidecar, so a "
        "pod with an association gets podrole's role; in env mode the association takes precedence.",
        "aws eks list-pod-identity-associations --cluster-name NAME",
    ),
)
"""By the DaemonSet's name or one of its images."""


def check_webhooks(context: CheckContext) -> Iterator[Finding]:
    """List the webhooks that change pods in the API server's order, and report changes that podrole would not see."""
    webhooks = list_pod_webhooks(context.installation.webhooks.value)
    if all(webhook.is_podrole for webhook in webhooks):
        yield OtherInjectors.NO_OTHER_WEBHOOK.format()
    for position, webhook in enumerate(webhooks, 1):
        yield _describe(position, webhook)
    own = next((position for position, webhook in enumerate(webhooks) if webhook.is_podrole), None)
    if own is not None and webhooks[own].reinvocation_policy == "Never":
        # Earlier webhooks with IfNeeded can be called again, and so change a pod after podrole as well.
        later = [
            webhook.name
            for position, webhook in enumerate(webhooks)
            if not webhook.is_podrole and (position > own or webhook.reinvocation_policy == "IfNeeded")
        ]
        if later:
            yield OtherInjectors.REINVOCATION_NEVER.format(names=join_names(later))


def check_irsa(context: CheckContext) -> Iterator[Finding]:
    """Find ServiceAccounts in labelled namespaces whose pods IRSA's webhook changes as well."""
    names = {read_name(namespace) for namespace in context.namespaces}
    accounts = [
        read_name(account)
        for account in context.cluster.service_accounts.value
        if read_mapping(account, "metadata").get("namespace") in names
        and parse_metadata(account).annotations.get(IRSA_ROLE)
    ]
    if has_irsa(context.installation.webhooks.value) and accounts:
        yield OtherInjectors.IRSA_SERVICE_ACCOUNTS.format(accounts=join_names(accounts))
    else:
        yield OtherInjectors.NO_IRSA_SERVICE_ACCOUNT.format()


def check_node_agents(context: CheckContext) -> Iterator[Finding]:
    """Find node agents by name or image."""
    found = [(one, known) for one in context.cluster.daemon_sets.value if (known := _recognise_agent(one))]
    for daemon_set, known in found:
        name = read_name(daemon_set)
        yield OtherInjectors.NODE_AGENT.format(name=name, agent=known.name, meaning=known.meaning, remedy=known.remedy)
    if not found:
        yield OtherInjectors.NO_NODE_AGENT.format()


def _describe(position: int, webhook: Webhook) -> Finding:
    known = _recognise(webhook)
    values = {
        "position": position,
        "name": webhook.name,
        "configuration": webhook.configuration_name,
        "failure": webhook.failure_policy,
        "reinvocation": webhook.reinvocation_policy,
    }
    if webhook.is_podrole:
        return OtherInjectors.PODROLE_WEBHOOK.format(**values)
    meaning = f": {known.name}; {known.meaning}." if known else ": unknown to podrole."
    return OtherInjectors.OTHER_WEBHOOK.format(**values, meaning=meaning)


def _recognise(webhook: Webhook) -> KnownProduct | None:
    names = f"{webhook.configuration_name} {webhook.name}"
    return next((known for known in WEBHOOKS if re.search(known.pattern, names)), None)


def _recognise_agent(daemon_set: Object) -> KnownProduct | None:
    spec = read_mapping(read_mapping(read_mapping(daemon_set, "spec"), "template"), "spec")
    images = [str(container.get("image")) for container in read_objects(spec, "containers")]
    names = [str(read_mapping(daemon_set, "metadata").get("name")), *images]
    return next((known for known in NODE_AGENTS if any(re.search(known.pattern, name) for name in names)), None)
