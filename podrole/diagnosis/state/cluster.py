"""What was read from a cluster: each answer, or the reason why it could not be read. Checks read only this."""

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from contract.modes import Mode
from injector.k8s.objects import Object
from podrole.diagnosis.state.agent_groups import Census
from podrole.diagnosis.state.installed_config import DeployedEnv, read_deployed_env

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class ReadResult(Generic[T_co]):
    """The answer to one query."""

    value: T_co
    """Empty or None where the query failed."""

    error: str = ""
    """Why the query failed; empty where it succeeded."""


Objects = ReadResult[tuple[Object, ...]]
OptionalObject = ReadResult[Object | None]
"""None also where the object does not exist."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What `check` and `preflight` both need: the API server's version, webhooks, policies, podrole's configuration."""

    version: ReadResult[Object]
    """The document at /version."""

    webhooks: Objects
    """Every MutatingWebhookConfiguration."""

    deployment: OptionalObject
    config_maps: Objects
    """Those that the Deployment refers to."""

    policies: Objects
    """Every ValidatingAdmissionPolicy; empty before Kubernetes 1.30."""

    policy_bindings: Objects
    """Every ValidatingAdmissionPolicyBinding; empty before Kubernetes 1.30."""

    @property
    def deployed_env(self) -> DeployedEnv | None:
        """The environment variables of the Deployment; None without a Deployment."""
        deployment = self.deployment.value
        return None if deployment is None else read_deployed_env(deployment, self.config_maps.value)


class DryRunResult(NamedTuple):
    """What the API server answered to the creation of a pod in a dry run."""

    namespace: str
    pod: Object | None
    """The pod that would have been stored; None where the request was rejected."""

    message: str = ""
    """The API server's message where the request was rejected."""


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod's cluster context, as `check` reads it."""

    installation: Installation
    namespace: OptionalObject
    service_account: OptionalObject
    events: Objects
    owner: OptionalObject = ReadResult(None)
    """The controller of a pod without a role, where it is a kind of Kubernetes."""

    workload: OptionalObject = ReadResult(None)
    """The workload whose pods are checked."""

    sidecar_status: ReadResult[str | None] = ReadResult(None)
    """What `python3 -m sidecar.status` printed; None where the sidecar does not run."""

    dry_run: DryRunResult | None = None
    """Of the creation of a copy of the pod, where the pod differs from podrole's answer."""

    now: float = 0.0
    """When it was read, in seconds since the epoch."""


class StoredCertificate(NamedTuple):
    """The serving certificate in the webhook's Secret, without its key."""

    secret: str
    """Namespace and name."""

    pem: str
    """Empty where the Secret or the key in it does not exist."""


class ProbeResult(NamedTuple):
    """What became of one probe pod."""

    mode: Mode
    runtime_class: str
    """Empty: the default runtime."""

    report: Object | None
    """What `sidecar.probe` wrote; None where it did not run."""

    rules_error: str = ""
    """The message of podrole-redirect, where it failed."""

    problem: str = ""
    """Why there is no report, where it is not the rules."""

    node: str = ""
    """Where it ran; empty where it did not."""


class ProbeRun(NamedTuple):
    """All probe pods of one run."""

    results: tuple[ProbeResult, ...] = ()
    omitted: tuple[str, ...] = ()
    """Runtime classes that had no probe."""

    leftover: str = ""
    """The command that deletes what could not be deleted, and why it could not."""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """A cluster, as `preflight` reads it. Namespaced objects are those of the namespaces that are checked."""

    installation: Installation
    nodes: Objects
    daemon_sets: Objects
    namespaces: Objects
    service_accounts: Objects
    certificate: ReadResult[StoredCertificate]
    service: OptionalObject
    endpoint_slices: Objects
    issuer: ReadResult[str]
    """Of the tokens of ServiceAccounts."""

    agent_servers: Objects = ReadResult(())
    """Deployments in the namespaces of Kiam's agents, of which one can be its server."""

    agent_config_maps: Objects = ReadResult(())
    """Those that kube2iam and Kiam refer to, as far as they can be read."""

    agent_pods: ReadResult[Census | None] = ReadResult(None)
    """None where there is neither kube2iam nor Kiam."""

    warnings: OptionalObject = ReadResult(None)
    """podrole's ValidatingWebhookConfiguration."""

    rejected_workloads: ReadResult[tuple[str, ...]] = ReadResult(())
    """Those that lack pods because podrole rejects them: kind, namespace and name."""

    requested_namespaces: tuple[str, ...] = ()
    """Those of --namespace; where there are none, the labelled namespaces are checked."""

    dry_runs: ReadResult[tuple[DryRunResult, ...]] = ReadResult(())
    dry_run_skipped: bool = False
    """Whether the user passed --no-dry-run."""

    probes: ReadResult[ProbeRun] = ReadResult(ProbeRun())
    """Empty without --probe."""
