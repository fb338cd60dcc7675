"""Why the API server rejects new pods of a workload: the cause that its message names, and whether it is podrole."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import contract
from injector.k8s.objects import Object, read_mapping
from podrole.diagnosis.pods.added_resources import (
    format_added,
    format_containers,
    is_limit_range_because_of,
    is_quota_because_of,
    measure_added,
)
from podrole.diagnosis.state.cluster import Installation
from podrole.diagnosis.state.webhooks import OUR_WEBHOOK, find_podrole_webhooks
from podrole.diagnosis.workloads.findings import Creation
from podrole.findings import Finding

OURS = re.escape(OUR_WEBHOOK)
DENIED_BY_PODROLE = rf'admission webhook "{OURS}" denied the request'
WEBHOOK_FAILED = rf'failed calling webhook "{OURS}"'
GUARD = r"ValidatingAdmissionPolicy 'podrole-"
POLICY = r"(denied the request|ValidatingAdmissionPolicy)"
OTHER_WEBHOOK_FAILED = r"failed calling webhook"
"""Of these three, podrole's own are found before."""

QUOTA = r"(exceeded|failed) quota: "
"""https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go"""

LIMIT_RANGE = r"(usage|limit to request ratio) per (Container|Pod) is |must be less than or equal to \w+ limit"
"""The second form: a default limit below the request.

https://github.com/kubernetes/kubernetes/blob/master/plugin/pkg/admission/limitranger/admission.go
"""

CAUSES = (
    (DENIED_BY_PODROLE, Creation.DENIED),
    (WEBHOOK_FAILED, Creation.WEBHOOK_UNREACHABLE),
    (GUARD, Creation.GUARD_DENIED),
    (QUOTA, Creation.QUOTA),
    (LIMIT_RANGE, Creation.LIMIT_RANGE),
    (r"violates PodSecurity ", Creation.POD_SECURITY_ANYWAY),
    (POLICY, Creation.POLICY),
    (OTHER_WEBHOOK_FAILED, Creation.OTHER_WEBHOOK),
    (r"error looking up service account|serviceaccount \"[^\"]*\" not found", Creation.SERVICE_ACCOUNT_MISSING),
    (rf"\b{contract.RESERVED_PREFIX}", Creation.PODROLE_CONTAINER_INVALID),
    (r"", Creation.REJECTED),
)
"""Patterns of the API server's message. The first one that matches counts."""

BY_PODROLE = (Creation.DENIED, Creation.WEBHOOK_UNREACHABLE, Creation.GUARD_DENIED)

PREFIX = re.compile(r"^(Error creating: |create Pod \S+ in StatefulSet \S+ failed error: )+")
DENIAL = re.compile(rf"^.*?{DENIED_BY_PODROLE}: ", re.DOTALL)
CONTAINER_NAMES = re.compile(r'"([a-z0-9-]+)"')
OUR_CONTAINER = re.compile(rf"\b({contract.REDIRECT_CONTAINER}|{contract.SIDECAR_CONTAINER})\b")
POD_SECURITY_CONTAINERS = re.compile(r'containers? ((?:"[a-z0-9-]+"(?:, )?)+)')


class Rejection(NamedTuple):
    """A message of the API server about a pod that it did not create."""

    message: str
    where: str
    """The event, the condition or the dry run."""


class NewPod(NamedTuple):
    """What would be created."""

    namespace: str
    target: str
    """KIND/NAME of its workload, for a command."""

    pod: Object
    """Its template."""

    containers: tuple[Object, ...] = ()
    """podrole's, as the webhook would add them; empty where it would add none."""


def is_by_podrole(rejection: Rejection) -> bool:
    """Whether podrole's webhook or guard rejected the pod, or the API server could not call the webhook."""
    return _find_cause(_join_lines(rejection.message)) in BY_PODROLE


def may_recur(rejection: Rejection, installation: Installation) -> bool:
    """Whether podrole rejected the pod, and what did so is in the cluster, or may be where it could not be read."""
    match _find_cause(_join_lines(rejection.message)):
        case Creation.DENIED | Creation.WEBHOOK_UNREACHABLE:
            return bool(installation.webhooks.error or find_podrole_webhooks(installation.webhooks.value))
        case Creation.GUARD_DENIED:
            policies, bindings = installation.policies, installation.policy_bindings
            return bool(policies.error or bindings.error or any(map(_binds_guard, bindings.value)))
        case _:
            return False


def _binds_guard(binding: Object) -> bool:
    return str(read_mapping(binding, "spec").get("policyName")).startswith(contract.RESERVED_PREFIX)


def explain_rejection(rejection: Rejection, new: NewPod) -> Iterator[Finding]:
    """Name the cause of a rejection, and what to do."""
    message = PREFIX.sub("", _join_lines(rejection.message))
    template = _choose(_find_cause(message), message, new)
    values = {
        "where": rejection.where,
        "message": DENIAL.sub("", message),
        "namespace": new.namespace,
        "target": new.target,
        "added": format_added(new.containers),
        "containers": format_containers(new.containers),
    }
    yield template.format(**values)


def _join_lines(message: str) -> str:
    return " ".join(message.split())


def _find_cause(message: str) -> Creation:
    return next(template for pattern, template in CAUSES if re.search(pattern, message))


def _choose(template: Creation, message: str, new: NewPod) -> Creation:
    """Whether it is because of podrole, as far as the message tells it."""
    added = measure_added(new.pod, new.containers)
    match template:
        case Creation.QUOTA:
            answers = (Creation.QUOTA_BECAUSE_OF_PODROLE, Creation.QUOTA_ANYWAY)
            is_because = is_quota_because_of(message, added)
        case Creation.LIMIT_RANGE:
            answers = (Creation.LIMIT_RANGE_BECAUSE_OF_PODROLE, Creation.LIMIT_RANGE_ANYWAY)
            is_because = is_limit_range_because_of(message, new.pod, added)
        case Creation.POD_SECURITY_ANYWAY:
            answers = (Creation.POD_SECURITY_BECAUSE_OF_PODROLE, template)
            is_because = _names_only_podrole(message)
        case Creation.POLICY:
            answers = (Creation.POLICY_BECAUSE_OF_PODROLE, Creation.OTHER_WEBHOOK)
            is_because = bool(new.containers) and (OUR_CONTAINER.search(message) is not None or None)
        case _:
            return template
    return template if is_because is None else answers[0] if is_because else answers[1]


def _names_only_podrole(message: str) -> bool:
    names = [name for group in POD_SECURITY_CONTAINERS.findall(message) for name in CONTAINER_NAMES.findall(group)]
    # `hostPath volumes (volume "x")`, `pod must not set ...`: the pod's own fields.
    is_about_pod = re.search(r"\((pod|volumes?) ", message) is not None
    return bool(names) and not is_about_pod and all(name.startswith(contract.RESERVED_PREFIX) for name in names)
