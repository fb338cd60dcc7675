"""Findings about who else changes pods or answers for AWS, and what that means for podrole."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from injector.decision.annotations import IRSA_ROLE
from injector.k8s.objects import Object, parse_metadata, read_mapping, read_objects
from podrole.diagnosis.check_context import CheckContext, name_some, read_name
from podrole.diagnosis.cluster_findings import OtherInjectors
from podrole.diagnosis.webhooks import Webhook, list_pod_webhooks
from podrole.findings import Finding


class KnownProduct(NamedTuple):
    """A product that is recognised by a name, and what it means to have it beside podrole."""

    pattern: str
    name: str
    meaning: str
    remedy: str = ""


IRSA = "IRSA and EKS Pod Identity"
WEBHOOKS = (
    KnownProduct(
        r"pod-identity-webhook|iam-for-pods",
        IRSA,
        "pods whose ServiceAccount has eks.amazonaws.com/role-arn, or an association, get variables of its own",
    ),
    KnownProduct(
        r"istio", "Istio", "its rules stand behind podrole's in the pod, and its proxy sees no metadata requests"
    ),
    KnownProduct(r"linkerd", "Linkerd", "its rules stand behind podrole's in the pod"),
    KnownProduct(
        r"vault", "Vault's agent", "with agent-init-first it goes in front, and podrole then in front of it again"
    ),
    KnownProduct(
        r"kyverno", "Kyverno", "what it changes in podrole's containers is undone when podrole is asked again"
    ),
    KnownProduct(
        r"gatekeeper",
        "Gatekeeper",
        "what it changes in podrole's containers is undone when podrole is asked again",
    ),
    KnownProduct(r"aws-load-balancer|elbv2", "the AWS Load Balancer Controller", "it adds readiness gates only"),
    KnownProduct(r"vpc-resource", "the VPC resource controller", "it adds resources of network interfaces only"),
    KnownProduct(r"dapr", "Dapr", "its sidecar gets the pod's role like any other container of it"),
    KnownProduct(r"azure-wi|azure-workload-identity", "Azure Workload Identity", "its variables are Azure's alone"),
)
"""By the names of the webhook and its configuration. The first that fits."""

AGENTS = (
    KnownProduct(
        r"kube2iam",
        "kube2iam",
        "In redirect mode the sidecar answers before it; in env mode what asks 169.254.169.254 by itself still "
        "reaches it.",
        "Remove it once all namespaces have moved over.",
    ),
    KnownProduct(
        r"kiam-agent|kiam",
        "Kiam's agent",
        "In redirect mode the sidecar answers before it; in env mode what asks 169.254.169.254 by itself still "
        "reaches it.",
        "Remove it once all namespaces have moved over.",
    ),
    KnownProduct(
        r"eks-pod-identity-agent",
        "the EKS Pod Identity agent",
        "Its associations are not in the Kubernetes API. In redirect mode 169.254.170.23 leads to the sidecar, so a "
        "pod with an association has podrole's role; in env mode the association wins.",
        "aws eks list-pod-identity-associations --cluster-name NAME",
    ),
)
"""By the DaemonSet's name or an image of it."""


def find_webhooks(context: CheckContext) -> Iterator[Finding]:
    """List who changes pods, in the API server's order, and who may come after podrole for good."""
    webhooks = list_pod_webhooks(context.snapshot.all("webhooks"))
    if all(webhook.is_self_managed for webhook in webhooks):
        yield OtherInjectors.ALONE.format()
    for position, webhook in enumerate(webhooks, 1):
        yield _place(position, webhook)
    ours = next((position for position, webhook in enumerate(webhooks) if webhook.is_self_managed), None)
    if ours is not None and webhooks[ours].reinvocation_policy == "Never":
        # Those in front are asked again themselves when they say IfNeeded, and so may change a pod after podrole too.
        later = [
            webhook.name
            for position, webhook in enumerate(webhooks)
            if not webhook.is_self_managed and (position > ours or webhook.reinvocation_policy == "IfNeeded")
        ]
        if later:
            yield OtherInjectors.NOT_ASKED_AGAIN.format(names=name_some(later))


def find_irsa(context: CheckContext) -> Iterator[Finding]:
    """ServiceAccounts of labelled namespaces whose pods IRSA's webhook looks after as well."""
    webhooks = list_pod_webhooks(context.snapshot.all("webhooks"))
    is_installed = any((known := _recognise(webhook)) and known.name == IRSA for webhook in webhooks)
    looked_at = {read_name(namespace) for namespace in context.namespaces()}
    accounts = [
        read_name(account)
        for account in context.snapshot.all("service-accounts")
        if read_mapping(account, "metadata").get("namespace") in looked_at
        and IRSA_ROLE in parse_metadata(account).annotations
    ]
    if is_installed and accounts:
        yield OtherInjectors.IRSA.format(accounts=name_some(accounts))
    else:
        yield OtherInjectors.NO_IRSA.format()


def find_agents(context: CheckContext) -> Iterator[Finding]:
    """Node agents, by name or image."""
    found = [(one, known) for one in context.snapshot.all("daemon-sets") if (known := _recognise_agent(one))]
    for daemon_set, known in found:
        name = read_name(daemon_set)
        yield OtherInjectors.AGENT.format(name=name, agent=known.name, meaning=known.meaning, remedy=known.remedy)
    if not found:
        yield OtherInjectors.NO_AGENT.format()


def _place(position: int, webhook: Webhook) -> Finding:
    known = _recognise(webhook)
    values = {
        "position": position,
        "name": webhook.name,
        "configuration": webhook.configuration_name,
        "failure": webhook.failure_policy,
        "again": webhook.reinvocation_policy,
    }
    if webhook.is_self_managed:
        return OtherInjectors.OURS.format(**values)
    meaning = f": {known.name}; {known.meaning}." if known else ": not one that podrole knows."
    return OtherInjectors.ANOTHER.format(**values, meaning=meaning)


def _recognise(webhook: Webhook) -> KnownProduct | None:
    names = f"{webhook.configuration_name} {webhook.name}"
    return next((known for known in WEBHOOKS if re.search(known.pattern, names)), None)


def _recognise_agent(daemon_set: Object) -> KnownProduct | None:
    spec = read_mapping(read_mapping(read_mapping(daemon_set, "spec"), "template"), "spec")
    images = [str(container.get("image")) for container in read_objects(spec, "containers")]
    names = [str(read_mapping(daemon_set, "metadata").get("name")), *images]
    return next((known for known in AGENTS if any(re.search(known.pattern, name) for name in names)), None)
