"""The creation of a pod in a dry run, and what the API server's answer means."""

import re
from collections.abc import Iterator

from injector.config import Config
from injector.decision.context import ClusterContext
from injector.decision.decide import decide
from injector.decision.outcomes import Inject
from injector.k8s.objects import EMPTY_METADATA, Metadata, Object, parse_metadata, read_mapping
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL, ROLE
from injector.patch.plan import plan_injection
from injector.reasons import Reason
from podrole.diagnosis.pods.added_resources import (
    format_added,
    is_limit_range_because_of,
    is_quota_because_of,
    measure_added,
)
from podrole.diagnosis.pods.injection import is_injected
from podrole.diagnosis.state.check_context import CheckContext, join_names, read_name
from podrole.diagnosis.state.cluster import ClusterState, DryRunResult
from podrole.diagnosis.state.webhooks import find_podrole_webhooks
from podrole.diagnosis.workloads.creation import (
    DENIED_BY_PODROLE,
    GUARD,
    LIMIT_RANGE,
    OTHER_WEBHOOK_FAILED,
    POLICY,
    QUOTA,
    WEBHOOK_FAILED,
)
from podrole.diagnosis.workloads.dry_run_findings import DryRun
from podrole.findings import Finding

MAX_DRY_RUNS = 20
"""In how many labelled namespaces a pod is created in a dry run where the user names none."""

CODE = r"\[([A-Z][A-Za-z]+)\] "

REJECTIONS = (
    (DENIED_BY_PODROLE, DryRun.DRY_RUN_DENIED),
    (WEBHOOK_FAILED, DryRun.WEBHOOK_UNREACHABLE),
    (r'cannot create resource "pods"', DryRun.DRY_RUN_FORBIDDEN),
    (QUOTA, DryRun.RESOURCE_QUOTA),
    (LIMIT_RANGE, DryRun.LIMIT_RANGE),
    (GUARD, DryRun.DRY_RUN_REJECTED),
    (POLICY, DryRun.POLICY),
    (OTHER_WEBHOOK_FAILED, DryRun.OTHER_WEBHOOK_UNREACHABLE),
    (r"", DryRun.DRY_RUN_REJECTED),
)
"""Patterns of the API server's message, which has no machine-readable form. The first one that matches counts."""


def build_pod(config: Config | None) -> Object:
    """Build a pod that PodSecurity `restricted` and usual quotas accept, with a role that does not exist.

    Its QoS class is not Guaranteed: podrole's containers would then have CPU limits, which would hide a quota that
    requires them.
    """
    partition = config.partition if config else "aws"
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}
    container = {"name": "app", "image": "podrole/preflight", "securityContext": security, "resources": resources}
    role = f"arn:{partition}:iam::000000000000:role/podrole-preflight"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "podrole-preflight-", "annotations": {ROLE: role}},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }


def choose_namespaces(cluster: ClusterState) -> list[str]:
    """List the labelled namespaces among those that are checked; none where podrole's webhook is not registered."""
    webhooks = cluster.installation.webhooks
    if not webhooks.error and not find_podrole_webhooks(webhooks.value):
        return []
    if cluster.namespaces.error:
        return [*cluster.requested_namespaces]
    return [
        read_name(namespace)
        for namespace in cluster.namespaces.value
        if parse_metadata(namespace).labels.get(INJECTION_LABEL) == INJECTION_ENABLED
        and not read_mapping(namespace, "metadata").get("deletionTimestamp")
    ]


def limit_namespaces(cluster: ClusterState) -> list[str]:
    """List the namespaces for a dry run: all that the user named, or the first MAX_DRY_RUNS labelled ones."""
    names = choose_namespaces(cluster)
    return names if cluster.requested_namespaces else names[:MAX_DRY_RUNS]


def is_webhook_unreachable(result: DryRunResult) -> bool:
    """Return whether the API server failed to call the webhook, as it then would for every other namespace."""
    return re.search(WEBHOOK_FAILED, result.message) is not None


def check_dry_runs(context: CheckContext) -> Iterator[Finding]:
    """Report what each dry run showed, and which namespaces had none."""
    results = context.cluster.dry_runs.value
    if not results:
        yield (DryRun.DRY_RUN_SKIPPED if context.cluster.dry_run_skipped else DryRun.DRY_RUN_NOT_APPLICABLE).format()
        return
    for template in (DryRun.DRY_RUN_INJECTED, DryRun.DRY_RUN_ROLE_NOT_ALLOWED):
        if names := [result.namespace for result in results if _classify(result) is template]:
            yield template.format(namespaces=join_names(names))
    for result in results:
        template = _classify(result)
        if template not in {DryRun.DRY_RUN_INJECTED, DryRun.DRY_RUN_ROLE_NOT_ALLOWED}:
            yield template.format(namespace=result.namespace, message=result.message)
            yield from _explain_limit(template, result, context)
    done = {result.namespace for result in results}
    if omitted := [name for name in choose_namespaces(context.cluster) if name not in done]:
        yield DryRun.DRY_RUN_OMITTED.format(namespaces=join_names(omitted))


def _explain_limit(template: DryRun, result: DryRunResult, context: CheckContext) -> Iterator[Finding]:
    """Whether a quota or a LimitRange would accept the pod without podrole, where the message tells it."""
    if template not in {DryRun.RESOURCE_QUOTA, DryRun.LIMIT_RANGE} or context.effective_config is None:
        return
    config = context.effective_config.config
    pod = build_pod(config)
    labelled = Metadata({INJECTION_LABEL: INJECTION_ENABLED}, {})
    decision = decide(pod, ClusterContext(labelled, EMPTY_METADATA, None), config)
    if not isinstance(decision, Inject):
        return
    containers = plan_injection(decision, pod, context.effective_config.template, config).init_containers
    added = measure_added(pod, containers)
    is_quota = template is DryRun.RESOURCE_QUOTA
    message = result.message
    is_because = is_quota_because_of(message, added) if is_quota else is_limit_range_because_of(message, pod, added)
    if is_because is not None:
        found = DryRun.BECAUSE_OF_PODROLE if is_because else DryRun.NOT_BECAUSE_OF_PODROLE
        yield found.format(namespace=result.namespace, added=format_added(containers))


def _classify(result: DryRunResult) -> DryRun:
    message = result.message
    if result.pod is not None:
        return DryRun.DRY_RUN_INJECTED if is_injected(result.pod) else DryRun.DRY_RUN_NOT_INJECTED
    if re.search(DENIED_BY_PODROLE, message) and {*re.findall(CODE, message)} == {Reason.ROLE_NOT_ALLOWED.code}:
        return DryRun.DRY_RUN_ROLE_NOT_ALLOWED
    return next(template for pattern, template in REJECTIONS if re.search(pattern, message))
