"""The kinds whose controllers create pods, and where in their objects the pod templates are."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from injector.errors import ConfigError

SPEC_TEMPLATE = ("spec.template",)
JOB_TEMPLATE = ("spec.jobTemplate.spec.template",)
ANALYSIS = ("spec.metrics.*.provider.job.spec.template",)
RAY_GROUPS = ("headGroupSpec.template", "workerGroupSpecs.*.template")

KNATIVE = "Knative refuses init containers with a restartPolicy, as the sidecar has"
ARGO = "Argo Workflows builds pods from steps"
FLINK = "Flink merges its pod templates with each other"
SPARK = "Spark builds pods from the fields of spec.driver and spec.executor"
TEKTON = "Tekton builds pods from steps"

BUILT_IN_GROUPS = {"", "apps", "batch"}
"""Their kinds must have a pod template; one of another group can refer to one elsewhere."""

COMPLETED_OWNED_KINDS = {"AnalysisRun", "Job", "ReplicaSet", "Revision"}
"""Kinds that an owner, such as a Deployment, keeps as its history: they would name roles that are no longer used."""


class WorkloadKind(NamedTuple):
    """A kind whose controller creates pods."""

    paths: tuple[str, ...]
    """Of its pod templates: keys with dots between them. `*` is each element of a list or each value of an object."""

    label: str | None = None
    """The label of its pods whose value is its name. None: it has a selector."""

    cannot_inject: str | None = None
    """Why podrole can change its pods, but not its manifest."""


Kinds = Mapping[tuple[str, str], WorkloadKind]
"""By API group and kind. Different groups have kinds with the same name."""

WORKLOAD_KINDS: Kinds = {
    ("", "Pod"): WorkloadKind(("",)),
    ("", "PodTemplate"): WorkloadKind(("template",)),
    ("", "ReplicationController"): WorkloadKind(SPEC_TEMPLATE),
    ("apps", "DaemonSet"): WorkloadKind(SPEC_TEMPLATE),
    ("apps", "Deployment"): WorkloadKind(SPEC_TEMPLATE),
    ("apps", "ReplicaSet"): WorkloadKind(SPEC_TEMPLATE),
    ("apps", "StatefulSet"): WorkloadKind(SPEC_TEMPLATE),
    ("batch", "CronJob"): WorkloadKind(JOB_TEMPLATE),
    ("batch", "Job"): WorkloadKind(SPEC_TEMPLATE),
    # https://agones.dev/site/docs/reference/gameserver/
    ("agones.dev", "Fleet"): WorkloadKind(("spec.template.spec.template",)),
    ("agones.dev", "GameServer"): WorkloadKind(SPEC_TEMPLATE, "agones.dev/gameserver"),
    ("agones.dev", "GameServerSet"): WorkloadKind(("spec.template.spec.template",)),
    # https://openkruise.io/docs/user-manuals/cloneset
    ("apps.kruise.io", "AdvancedCronJob"): WorkloadKind(
        ("spec.template.jobTemplate.spec.template", "spec.template.broadcastJobTemplate.spec.template")
    ),
    ("apps.kruise.io", "BroadcastJob"): WorkloadKind(SPEC_TEMPLATE, "broadcastjob-name"),
    ("apps.kruise.io", "CloneSet"): WorkloadKind(SPEC_TEMPLATE),
    ("apps.kruise.io", "DaemonSet"): WorkloadKind(SPEC_TEMPLATE),
    ("apps.kruise.io", "StatefulSet"): WorkloadKind(SPEC_TEMPLATE),
    ("apps.kruise.io", "UnitedDeployment"): WorkloadKind(("spec.template.*.spec.template",)),
    # https://argo-rollouts.readthedocs.io/en/stable/features/specification/
    ("argoproj.io", "AnalysisRun"): WorkloadKind(ANALYSIS),
    ("argoproj.io", "AnalysisTemplate"): WorkloadKind(ANALYSIS),
    ("argoproj.io", "ClusterAnalysisTemplate"): WorkloadKind(ANALYSIS),
    ("argoproj.io", "Experiment"): WorkloadKind(("spec.templates.*.template",)),
    ("argoproj.io", "Rollout"): WorkloadKind(SPEC_TEMPLATE),
    # https://argo-workflows.readthedocs.io/en/latest/fields/
    ("argoproj.io", "ClusterWorkflowTemplate"): WorkloadKind((), cannot_inject=ARGO),
    ("argoproj.io", "CronWorkflow"): WorkloadKind((), cannot_inject=ARGO),
    ("argoproj.io", "Workflow"): WorkloadKind((), "workflows.argoproj.io/workflow", ARGO),
    ("argoproj.io", "WorkflowTemplate"): WorkloadKind((), cannot_inject=ARGO),
    # https://volcano.sh/en/docs/vcjob/
    ("batch.volcano.sh", "CronJob"): WorkloadKind(("spec.jobTemplate.spec.tasks.*.template",)),
    ("batch.volcano.sh", "Job"): WorkloadKind(("spec.tasks.*.template",), "volcano.sh/job-name"),
    # https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-main/docs/custom-resource/pod-template/
    ("flink.apache.org", "FlinkDeployment"): WorkloadKind((), "app", FLINK),
    # https://jobset.sigs.k8s.io/docs/
    ("jobset.x-k8s.io", "JobSet"): WorkloadKind(
        ("spec.replicatedJobs.*.template.spec.template",), "jobset.sigs.k8s.io/jobset-name"
    ),
    # https://keda.sh/docs/latest/reference/scaledjob-spec/
    ("keda.sh", "ScaledJob"): WorkloadKind(("spec.jobTargetRef.template",), "scaledjob.keda.sh/name"),
    # https://www.kubeflow.org/docs/components/trainer/legacy-v1/
    **{
        ("kubeflow.org", kind): WorkloadKind((f"spec.{field}.*.template",), "training.kubeflow.org/job-name")
        for kind, field in {
            "JAXJob": "jaxReplicaSpecs",
            "MPIJob": "mpiReplicaSpecs",
            "PaddleJob": "paddleReplicaSpecs",
            "PyTorchJob": "pytorchReplicaSpecs",
            "TFJob": "tfReplicaSpecs",
            "XGBoostJob": "xgbReplicaSpecs",
        }.items()
    },
    # https://lws.sigs.k8s.io/docs/
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"): WorkloadKind(
        ("spec.leaderWorkerTemplate.leaderTemplate", "spec.leaderWorkerTemplate.workerTemplate"),
        "leaderworkerset.sigs.k8s.io/name",
    ),
    # https://docs.ray.io/en/latest/cluster/kubernetes/index.html
    ("ray.io", "RayCluster"): WorkloadKind(tuple(f"spec.{one}" for one in RAY_GROUPS), "ray.io/cluster"),
    ("ray.io", "RayJob"): WorkloadKind(
        (*(f"spec.rayClusterSpec.{one}" for one in RAY_GROUPS), "spec.submitterPodTemplate")
    ),
    ("ray.io", "RayService"): WorkloadKind(tuple(f"spec.rayClusterConfig.{one}" for one in RAY_GROUPS)),
    # https://knative.dev/docs/serving/reference/serving-api/
    ("serving.knative.dev", "Configuration"): WorkloadKind(SPEC_TEMPLATE, "serving.knative.dev/configuration", KNATIVE),
    ("serving.knative.dev", "Revision"): WorkloadKind(("",), "serving.knative.dev/revision", KNATIVE),
    ("serving.knative.dev", "Service"): WorkloadKind(SPEC_TEMPLATE, "serving.knative.dev/service", KNATIVE),
    # https://github.com/kubeflow/spark-operator/blob/master/docs/api-docs.md
    ("sparkoperator.k8s.io", "ScheduledSparkApplication"): WorkloadKind((), cannot_inject=SPARK),
    ("sparkoperator.k8s.io", "SparkApplication"): WorkloadKind((), "sparkoperator.k8s.io/app-name", SPARK),
    # https://tekton.dev/docs/pipelines/
    ("tekton.dev", "PipelineRun"): WorkloadKind((), "tekton.dev/pipelineRun", TEKTON),
    ("tekton.dev", "TaskRun"): WorkloadKind((), "tekton.dev/taskRun", TEKTON),
}

MAX_PATHS = 100
MAX_KEYS = 20
MAX_SHOWN = 200
KEY = r"(?:[A-Za-z0-9_-]{1,253}|\*)"
OPTION = re.compile(
    rf"([A-Z][A-Za-z0-9]{{0,62}})(?:\.([a-z0-9][a-z0-9.-]{{0,252}}))?=({KEY}(?:\.{KEY}){{0,{MAX_KEYS - 1}}})"
)
"""Kind, group, path."""

EXAMPLE = "Rollout.argoproj.io=spec.template, or Job.batch.volcano.sh=spec.tasks.*.template"


def add_paths(given: Iterable[str], kinds: Kinds = WORKLOAD_KINDS) -> Kinds:
    """The table with paths of `KIND.GROUP=PATH`, also for kinds that it says cannot be injected. Raises ConfigError."""
    extended = dict(kinds)
    for number, text in enumerate(given, 1):
        if number > MAX_PATHS:
            raise ConfigError(f"--pod-template-path is given more than {MAX_PATHS} times")
        match = OPTION.fullmatch(text)
        if not match:
            raise ConfigError(f"--pod-template-path {text[:MAX_SHOWN]!r} is not KIND.GROUP=PATH, such as {EXAMPLE}")
        group, kind, path = match[2] or "", match[1], match[3]
        known = extended.get((group, kind), WorkloadKind(()))
        extended[group, kind] = known._replace(paths=(*dict.fromkeys((*known.paths, path)),), cannot_inject=None)
    return extended


def remove_paths(kinds: Kinds) -> Kinds:
    """The table without paths of kinds whose manifests cannot be injected."""
    return {key: kind._replace(paths=()) if kind.cannot_inject else kind for key, kind in kinds.items()}
