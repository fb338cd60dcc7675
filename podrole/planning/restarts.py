"""What must be restarted so that pods get podrole's containers, and by which command."""

import shlex
from enum import StrEnum
from typing import NamedTuple

from injector.errors import ObjectError
from injector.k8s.objects import Object, read_mapping, read_strings
from injector.k8s.workload_kinds import Kinds
from podrole.diagnosis.state.selectors import format_selector
from podrole.planning.estate import Key

ROLLOUT_KINDS = {"Deployment", "StatefulSet", "DaemonSet"}
TEMPLATE_KINDS = {"PodTemplate", "AnalysisTemplate", "ClusterAnalysisTemplate"}
RUN_KINDS = {
    *("AdvancedCronJob", "AnalysisRun", "BroadcastJob", "CronJob", "CronWorkflow", "Experiment", "Fleet", "GameServer"),
    *("GameServerSet", "JAXJob", "Job", "JobSet", "MPIJob", "PaddleJob", "PipelineRun", "PyTorchJob", "RayJob"),
    *("ScaledJob", "ScheduledSparkApplication", "SparkApplication", "TFJob", "TaskRun", "Workflow", "XGBoostJob"),
}
"""Of any group: their pods end by themselves, and would lose their work if they were deleted."""

ONE_BY_ONE = "This deletes all of them at once: delete one by one to keep the service up."


class How(StrEnum):
    """The way in which the pods of a workload are replaced."""

    NONE = "none"
    ROLLOUT = "rollout"
    DELETE_PODS = "delete pods"
    RECREATE = "recreate"
    NEXT_RUN = "next run"
    CONTROLLER = "controller"


class Restart(NamedTuple):
    """How pods are replaced."""

    how: How
    command: str = ""
    """To be copied into a shell; empty where there is none."""

    note: str = ""


NO_RESTART = Restart(How.NONE)


def plan_restart(key: Key, obj: Object, kinds: Kinds) -> Restart:
    """Find out how pods of a workload are replaced. Names are quoted for a shell: custom kinds can have any."""
    kubectl, spec = f"kubectl -n {shlex.quote(key.namespace)}", read_mapping(obj, "spec")
    match key.group, key.kind:
        case "", "Pod":
            note = f"With the manifest of pod {key.name}: nothing else creates it again."
            return Restart(How.RECREATE, f"{kubectl} replace --force -f FILE", note)
        case (_, kind) if kind in RUN_KINDS:
            return Restart(How.NEXT_RUN, note=_describe_run(key.kind, spec))
        case ("apps", kind) if kind in ROLLOUT_KINDS:
            return _plan_rollout(key, spec, kubectl)
        case ("argoproj.io", "Rollout"):
            command = f"kubectl argo rollouts restart {shlex.quote(key.name)} -n {shlex.quote(key.namespace)}"
            return Restart(How.ROLLOUT, command)
        case (_, kind) if kind in TEMPLATE_KINDS:
            return Restart(How.NEXT_RUN, note="Pods that are made from it later have podrole's containers.")
        case _:
            return _plan_deletion(key, spec, kinds, kubectl)


def _describe_run(kind: str, spec: Object) -> str:
    if spec.get("suspend"):
        return "It is suspended: its next run has podrole's containers."
    if kind == "CronJob":
        return "Its next run has podrole's containers."
    return "Pods that it has already made stay as they are; new ones have podrole's containers."


def _plan_rollout(key: Key, spec: Object, kubectl: str) -> Restart:
    if read_mapping(spec, "updateStrategy").get("type") == "OnDelete":
        command = _delete_by_selector(spec, kubectl)
        return Restart(How.DELETE_PODS, command, f"Its updateStrategy is OnDelete. {ONE_BY_ONE}")
    target = shlex.quote(f"{key.kind.lower()}/{key.name}")
    command = f"{kubectl} rollout restart {target}"
    if key.kind == "Deployment" and spec.get("paused"):
        return Restart(How.ROLLOUT, f"{kubectl} rollout resume {target} && {command}", "It is paused.")
    partition = read_mapping(read_mapping(spec, "updateStrategy"), "rollingUpdate").get("partition")
    note = f"Its partition is {partition}: pods with a lower number stay as they are." if partition else ""
    return Restart(How.ROLLOUT, command, note)


def _plan_deletion(key: Key, spec: Object, kinds: Kinds, kubectl: str) -> Restart:
    known = kinds.get((key.group, key.kind))
    if known and known.label:
        selector = f"{known.label}={key.name}"
        return Restart(How.DELETE_PODS, f"{kubectl} delete pods -l {shlex.quote(selector)}", ONE_BY_ONE)
    if command := _delete_by_selector(spec, kubectl):
        return Restart(How.DELETE_PODS, command, ONE_BY_ONE)
    return Restart(How.CONTROLLER, note=f"Let the controller of {key.kind} create its pods again.")


def _delete_by_selector(spec: Object, kubectl: str) -> str:
    try:
        selector = read_mapping(spec, "selector")
        if selector and not {"matchLabels", "matchExpressions"} & selector.keys():  # a ReplicationController
            selector = {"matchLabels": selector}
        text = ",".join([*_list_labels(selector), *filter(None, [format_selector({**selector, "matchLabels": {}})])])
    except (KeyError, ObjectError):  # a custom kind can have a selector of another form
        return ""
    return f"{kubectl} delete pods -l {shlex.quote(text)}" if text else ""


def _list_labels(selector: Object) -> list[str]:
    return [f"{key}={value}" for key, value in read_strings(selector, "matchLabels").items()]
