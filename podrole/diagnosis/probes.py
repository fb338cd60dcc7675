"""Probe pods: their manifests, and what their results mean."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import contract
from contract.modes import Mode
from contract.redirect_remedies import find_remedy
from injector.k8s.objects import Object, parse_object, read_mapping, read_name, read_objects
from podrole.deadlines import PROBE_POD_SECONDS
from podrole.diagnosis.probe_findings import NO_RULES, Probe
from podrole.diagnosis.state.check_context import CheckContext, join_names
from podrole.diagnosis.state.cluster import ProbeResult
from podrole.diagnosis.state.installed_config import EffectiveConfig
from podrole.findings import Finding

MAX_RUNTIME_CLASSES = 10
LABELS = {"app.kubernetes.io/name": "podrole-preflight", "app.kubernetes.io/managed-by": "podrole"}
SELECTOR = ",".join(f"{key}={value}" for key, value in LABELS.items())
CONTAINER = "probe"
TERMINATION_LOG = "/dev/termination-log"
ENDED = {"Succeeded", "Failed"}
STATUSES = ("initContainerStatuses", "containerStatuses")
NEVER_STARTED = {"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"}


class ProbePod(NamedTuple):
    """A pod of one mode and runtime class."""

    mode: Mode
    runtime_class: str
    manifest: Object

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.manifest["metadata"]["name"])


def build_namespace(name: str) -> Object:
    """Build the namespace of the probe pods: without podrole's label, as the webhook would change them."""
    labels = {**LABELS, "pod-security.kubernetes.io/enforce": "privileged"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def build_probe_pods(
    effective: EffectiveConfig, runtime_classes: Sequence[str], suffix: str, node: str | None = None
) -> list[ProbePod]:
    """Build a pod for each mode, with the default runtime and each RuntimeClass; for one node, or for any."""
    placement = _place_on(node) if node else {}
    return [
        ProbePod(mode, runtime_class, _build_pod(effective, mode, runtime_class, f"{suffix}-{number}", placement))
        for number, runtime_class in enumerate(["", *runtime_classes[:MAX_RUNTIME_CLASSES]])
        for mode in Mode
    ]


def _place_on(node: str) -> Object:
    """The placement that the DaemonSet controller gives its pods: also on a node with taints."""
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    return {"affinity": affinity, "tolerations": [{"operator": "Exists"}]}


def _build_pod(effective: EffectiveConfig, mode: Mode, runtime_class: str, suffix: str, placement: Object) -> Object:
    """Use the template's own container for the mode's rules; no sidecar, so that STS is not called."""
    template = effective.template
    rules = {Mode.BLOCK: [template.block], Mode.REDIRECT: [template.redirect], Mode.ENV: []}[mode]
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": PROBE_POD_SECONDS,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "initContainers": rules,
        "containers": [_build_container(effective.config.sidecar_image, mode)],
        "volumes": [template.token] if rules else [],
        **({"runtimeClassName": runtime_class} if runtime_class else {}),
        **placement,
    }
    metadata = {"name": f"podrole-preflight-{mode}-{suffix}", "labels": LABELS}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _build_container(image: str, mode: Mode) -> Object:
    return {
        "name": CONTAINER,
        "image": image,
        "command": ["python3", "-m", "sidecar.probe", mode.value, f"--output={TERMINATION_LOG}"],
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "96Mi"}},
        "securityContext": {
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def has_ended(pod: Object) -> bool:
    """Whether all its containers have ended, or an image cannot be pulled."""
    status = read_mapping(pod, "status")
    statuses = [one for key in STATUSES for one in read_objects(status, key)]
    waiting = {read_mapping(read_mapping(one, "state"), "waiting").get("reason") for one in statuses}
    return status.get("phase") in ENDED or bool(waiting & NEVER_STARTED)


def read_result(probe: ProbePod, pod: Object, event: str) -> ProbeResult:
    """Read the result of a pod from its status; `event` is the newest warning about it."""
    result = ProbeResult(probe.mode, probe.runtime_class, None, node=read_name(read_mapping(pod, "spec"), "nodeName"))
    status = read_mapping(pod, "status")
    init, main = (
        next((one for one in read_objects(status, key) if one.get("name") == name), {})
        for key, name in zip(STATUSES, (contract.REDIRECT_CONTAINER, CONTAINER), strict=True)
    )
    rules, ended = (read_mapping(read_mapping(one, "state"), "terminated") for one in (init, main))
    if rules.get("exitCode"):
        message = rules.get("message") or rules.get("reason")
        return result._replace(rules_error=_join_lines(message) or f"exit code {rules['exitCode']}")
    report = parse_object(ended.get("message"))
    if ended.get("exitCode") == 0 and report is not None:
        return result._replace(report=report)
    waiting = [read_mapping(read_mapping(one, "state"), "waiting") for one in (init, main)]
    found = [*(_describe(one) for one in (ended, *waiting)), event, _describe(status), _describe_conditions(status)]
    return result._replace(problem=next(filter(None, found), f"the pod is {status.get('phase') or 'new'}"))


def _describe(state: Object) -> str:
    reason, message = state.get("reason"), state.get("message")
    if reason in {None, "PodInitializing", "ContainerCreating", "Completed"} and not message:
        return ""
    return ": ".join(filter(None, (_join_lines(reason), _join_lines(message))))


def _describe_conditions(status: Object) -> str:
    failed = [one for one in read_objects(status, "conditions") if one.get("status") == "False"]
    return next(filter(None, map(_describe, failed)), "")


def _join_lines(text: Any) -> str:
    return " ".join(str(text or "").split())


def check_probes(context: CheckContext) -> Iterator[Finding]:
    """Report what each probe pod found."""
    run = context.cluster.probes.value
    for result in run.results:
        yield _report(result)
    if run.omitted:
        yield Probe.RUNTIME_CLASSES_OMITTED.format(names=join_names(run.omitted))
    if run.leftover:
        yield Probe.PROBES_NOT_DELETED.format(leftover=run.leftover)


def _report(result: ProbeResult) -> Finding:
    runtime = f"RuntimeClass {result.runtime_class}" if result.runtime_class else "the default runtime"
    names = {"mode": result.mode, "runtime": runtime}
    if result.rules_error:
        return Probe.RULES_NOT_LOADED.format(
            message=result.rules_error, remedy=find_remedy(result.rules_error) or NO_RULES, **names
        )
    if result.report is None:
        return Probe.PROBE_NOT_RUN.format(problem=result.problem, **names)
    if result.mode == Mode.ENV:
        return _report_node_metadata(result.report, {**names, "node": result.node})
    problems = result.report.get("problems")
    if problems == []:
        return (Probe.BLOCK_PROVEN if result.mode == Mode.BLOCK else Probe.REDIRECT_PROVEN).format(**names)
    lines = problems if isinstance(problems, list) else ["the probe's report is not valid"]
    return Probe.RULES_BYPASSED.format(problems="; ".join(map(_join_lines, lines)), **names)


def _report_node_metadata(report: Object, names: dict[str, Any]) -> Finding:
    if agent := report.get("agent"):
        return Probe.AGENT_ANSWERS.format(agent=agent, **names)
    measured = read_mapping(report, "node_metadata")
    addresses = read_mapping(measured, "addresses")
    reasons = ", ".join(f"{name} {one.get('reason')}" for name, one in addresses.items() if isinstance(one, dict))
    is_closed = measured.get("state") == "closed"
    template = Probe.NODE_METADATA_NOT_REACHABLE if is_closed else Probe.NODE_METADATA_REACHABLE
    return template.format(addresses=reasons or "the probe's report is not valid", **names)
