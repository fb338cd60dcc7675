"""A pod that is created in a dry run, and what its creation proves."""

import re
from collections.abc import Iterator, Sequence

from injector.config import Config
from injector.decision.annotations import ROLE
from injector.k8s.objects import Object, parse_metadata, read_mapping
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from injector.reasons import Reason
from podrole.diagnosis.check_context import CheckContext, read_name
from podrole.diagnosis.injection import is_injected
from podrole.diagnosis.snapshot import Snapshot
from podrole.diagnosis.webhook_findings import DryRun
from podrole.diagnosis.webhooks import OUR_WEBHOOK, find_ours
from podrole.findings import Finding

DENIED_BY_US = rf'admission webhook "{re.escape(OUR_WEBHOOK)}" denied the request'
CODE = r"\[([A-Z][A-Za-z]+)\] "

REFUSALS = (
    (DENIED_BY_US, DryRun.DENIED),
    (rf'failed calling webhook "{re.escape(OUR_WEBHOOK)}"', DryRun.UNREACHABLE),
    (r'cannot create resource "pods"', DryRun.NOT_ALLOWED),
    (r"", DryRun.REFUSED),
)
"""What the API server's message says, and so what happened; the first that fits. It has no other form to tell it in."""


def build_pod(config: Config | None) -> Object:
    """A pod that PodSecurity `restricted` and quotas accept, with a role that nobody has.

    Not of class Guaranteed: our containers would then have CPU limits, and a quota that demands them would be hidden.
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


def choose_namespaces(snapshot: Snapshot, asked: Sequence[str]) -> list[str]:
    """Where to try: in those asked about, else in one. Nowhere where it is plain that nothing would be injected."""
    if "webhooks" in snapshot.objects and not find_ours(snapshot.all("webhooks")):
        return []
    if "namespaces" in snapshot.unread:
        return [*asked]
    labelled = [
        read_name(namespace)
        for namespace in snapshot.all("namespaces")
        if parse_metadata(namespace).labels.get(INJECTION_LABEL) == INJECTION_ENABLED
        and not read_mapping(namespace, "metadata").get("deletionTimestamp")
    ]
    return labelled if asked else labelled[:1]


def find_dry_runs(context: CheckContext) -> Iterator[Finding]:
    """What the creations showed. `unwanted` stands for a person who wants none."""
    tried = context.snapshot.all("dry-runs")
    if not tried:
        yield (DryRun.NOT_WANTED if context.snapshot.all("unwanted") else DryRun.NO_NAMESPACE).format()
    for one in tried:
        yield _judge(str(one["namespace"]), read_mapping(one, "pod"), str(one.get("message") or ""))


def _judge(namespace: str, pod: Object, message: str) -> Finding:
    if not message:
        return (DryRun.INJECTED if is_injected(pod) else DryRun.UNTOUCHED).format(namespace=namespace)
    if re.search(DENIED_BY_US, message) and {*re.findall(CODE, message)} == {Reason.ROLE_NOT_ALLOWED.code}:
        return DryRun.ROLE_NOT_ALLOWED.format(namespace=namespace)
    statement = next(statement for pattern, statement in REFUSALS if re.search(pattern, message))
    return statement.format(namespace=namespace, message=message)
