"""The findings about a workload: level, sentence, remedy. The other modules decide which of them apply."""

from podrole.findings import FindingTemplate, Level

PREFLIGHT = "podrole preflight"
QUOTAS = "kubectl -n {namespace} describe resourcequotas"
LIMIT_RANGES = "kubectl -n {namespace} describe limitranges"
SIDECAR_RESOURCES = "Set podrole.io/sidecar-resources on the namespace or in the pod template (docs/annotations.md)."
DESCRIBE = "kubectl -n {namespace} describe {target}"

EXEMPT = (
    "Allow in that policy: {containers}. If only the capability is in the way, this makes podrole use env mode:\n"
    "kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=baseline"
)


class WorkloadFinding(FindingTemplate):
    """Whether a workload has its pods, and what became of the last attempt to create one."""

    PODS_READY = (Level.OK, "{wanted:Its pod is|All # pods are} ready.")
    PODS_NOT_READY = (
        Level.WARNING,
        (
            "Of {wanted:# pod|# pods}, {existing:# exists|# exist}, {current} with the current pod template; "
            "{ready:# is|# are} ready."
        ),
        DESCRIBE,
    )
    SCALED_TO_ZERO = (Level.NOTE, "It is scaled to 0 and has no pods. What follows would happen to new pods.")
    NO_NODE_SELECTED = (Level.NOTE, "It selects no node, so it has no pods.")
    PAUSED = (Level.NOTE, "The rollout is paused: pods keep the template that they have.")
    PAUSED_WITHOUT_PODS = (
        Level.WARNING,
        "The rollout is paused, so no pods with its present template are created.",
        "kubectl -n {namespace} rollout resume {target}",
    )
    NOT_OBSERVED = (Level.NOTE, "Its controller has not seen the last change yet, so the numbers can be old.")
    ROLLOUT_STUCK = (
        Level.PROBLEM,
        (
            "The rollout is stuck: {old:# pod of an older template still runs|# pods of an older template still run}, "
            "and new ones cannot be created."
        ),
        "Remove the cause below. To go back instead: kubectl -n {namespace} rollout undo {target}",
    )
    ROLLOUT_FAILED = (Level.WARNING, "The rollout does not progress ({reason}): {message}", DESCRIBE)
    NO_PODS_UNEXPLAINED = (
        Level.WARNING,
        "Pods are missing, and no event or condition says why: events are kept for an hour.",
        DESCRIBE,
    )
    EVENTS_READ_FAILED = (Level.UNKNOWN, "Its events could not be read: {problem}")

    PODS_OMITTED = (
        Level.NOTE,
        (
            "{shown:# of its pods is|# of its pods are} reported below, those that are not ready first; "
            "{count:# more is|# more are} not."
        ),
    )

    JOB_COMPLETED = (Level.OK, "The Job completed.")
    JOB_SUSPENDED = (Level.NOTE, "The Job is suspended: it has no pods until it is resumed.")
    JOB_RUNNING = (
        Level.OK,
        "The Job runs: {active:# pod is|# pods are} active, {succeeded} succeeded, {failed} failed.",
    )
    JOB_WITHOUT_PODS = (Level.WARNING, "The Job is neither complete nor suspended, and has no active pod.", DESCRIBE)
    JOB_FAILED = (
        Level.WARNING,
        "The Job {name} failed ({reason}): {message}",
        "kubectl -n {namespace} logs job/{name} --all-containers --prefix",
    )
    CRON_JOB_SUSPENDED = (Level.NOTE, "The CronJob is suspended: it starts no Job.{last}")
    CRON_JOB_SCHEDULED = (Level.OK, "The CronJob runs at {schedule}.{last}")
    CRON_JOB_RUN = (Level.NOTE, "Its last Job is {name}.")


class Creation(FindingTemplate):
    """Why the API server rejected a new pod. `{where}` names the event, the condition or the dry run."""

    DENIED = (Level.PROBLEM, "podrole's webhook denies new pods ({where}): {message}")
    WEBHOOK_UNREACHABLE = (
        Level.PROBLEM,
        "New pods are rejected, because the API server could not call podrole's webhook ({where}): {message}",
        PREFLIGHT,
    )
    GUARD_DENIED = (
        Level.PROBLEM,
        "New pods are rejected by podrole's guard, a ValidatingAdmissionPolicy ({where}): {message}",
        PREFLIGHT,
    )
    QUOTA_BECAUSE_OF_PODROLE = (
        Level.PROBLEM,
        "A ResourceQuota rejects new pods because of what podrole adds ({added}) ({where}): {message}",
        (
            f"{QUOTAS}\nRaise the quota, or add a LimitRange with defaults for what containers must specify. "
            f"For podrole-sidecar also: {SIDECAR_RESOURCES}"
        ),
    )
    QUOTA_ANYWAY = (
        Level.PROBLEM,
        "A ResourceQuota rejects new pods. It would reject them without podrole, too ({where}): {message}",
        QUOTAS,
    )
    QUOTA = (
        Level.PROBLEM,
        "A ResourceQuota rejects new pods. podrole adds to them {added} ({where}): {message}",
        QUOTAS,
    )
    LIMIT_RANGE_BECAUSE_OF_PODROLE = (
        Level.PROBLEM,
        "A LimitRange rejects new pods because of what podrole adds ({added}) ({where}): {message}",
        f"{LIMIT_RANGES}\nChange it. Or, for a minimum of podrole-redirect or for podrole-sidecar: {SIDECAR_RESOURCES}",
    )
    LIMIT_RANGE_ANYWAY = (
        Level.PROBLEM,
        "A LimitRange rejects new pods. It would reject them without podrole, too ({where}): {message}",
        LIMIT_RANGES,
    )
    LIMIT_RANGE = (
        Level.PROBLEM,
        "A LimitRange rejects new pods. podrole adds to them {added} ({where}): {message}",
        LIMIT_RANGES,
    )
    POD_SECURITY_BECAUSE_OF_PODROLE = (
        Level.PROBLEM,
        "PodSecurity rejects new pods because of podrole's containers ({where}): {message}",
        (
            "Label the namespace with the level that is enforced: podrole then uses env mode.\n"
            "kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=LEVEL"
        ),
    )
    POD_SECURITY_ANYWAY = (
        Level.PROBLEM,
        "PodSecurity rejects new pods. It would reject them without podrole, too ({where}): {message}",
    )
    OTHER_WEBHOOK = (
        Level.PROBLEM,
        "Another webhook or policy than podrole's rejects new pods ({where}): {message}",
    )
    POLICY_BECAUSE_OF_PODROLE = (
        Level.PROBLEM,
        "A policy of the cluster rejects new pods because of podrole's containers ({where}): {message}",
        EXEMPT,
    )
    POLICY = (
        Level.PROBLEM,
        "A policy of the cluster rejects new pods, perhaps because of podrole's containers ({where}): {message}",
        EXEMPT,
    )
    SERVICE_ACCOUNT_MISSING = (
        Level.PROBLEM,
        "New pods are rejected because their ServiceAccount does not exist ({where}): {message}",
        "kubectl -n {namespace} get serviceaccounts",
    )
    PODROLE_CONTAINER_INVALID = (
        Level.PROBLEM,
        "The API server rejects new pods because of podrole's containers ({where}): {message}",
        PREFLIGHT,
    )
    REJECTED = (
        Level.PROBLEM,
        "The API server rejects new pods. The message does not name podrole ({where}): {message}",
        DESCRIBE,
    )
    ACCEPTED_NOW = (
        Level.NOTE,
        "The API server would accept a new pod now (dry run). The controller tries again within 17 minutes.",
        "{retry}",
    )
    NOT_DENIED_NOW = (
        Level.NOTE,
        "podrole's webhook would not deny a new pod now. The controller tries again within 17 minutes.",
        "{retry}",
    )
    DRY_RUN_NOT_POSSIBLE = (Level.NOTE, "A dry run of a new pod was not possible: {message}")


class Overview(FindingTemplate):
    """What holds for many workloads at once."""

    NAMESPACES_NOT_LABELLED = (
        Level.NOTE,
        (
            "{workloads:# workload is|# workloads are} in {count:# namespace|# namespaces} without podrole's label, "
            "and not checked: {namespaces}. {roles}"
        ),
        "podrole check -n NAMESPACE KIND/NAME",
    )
    NAMESPACE_NOT_LABELLED = (
        Level.WARNING,
        (
            "Namespace {namespace} does not have podrole's label, so the webhook is not called: "
            "{workloads:its workload was|its # workloads were} not checked. {roles}"
        ),
        "kubectl label namespace {namespace} podrole.io/injection=enabled --overwrite",
    )
    NAMESPACE_LEFT_OUT = (
        Level.NOTE,
        (
            "The label of namespace {namespace} leaves it out on purpose, so the webhook is not called: "
            "{workloads:its workload was|its # workloads were} not checked. {roles}"
        ),
    )
    NAMESPACES_TERMINATING = (
        Level.NOTE,
        "Workloads of namespaces that are being deleted get no new pods, and were not checked: {namespaces}.",
    )
    ROLE_NOT_GIVEN = (
        Level.PROBLEM,
        (
            "Nothing gives these workloads the role that they set, neither podrole nor kube2iam, Kiam or IRSA: "
            "{names}. Their pods have no credentials, or the node's role."
        ),
        (
            "podrole plan -n NAMESPACE\n"
            "To leave a namespace out: kubectl label namespace NAMESPACE podrole.io/injection=disabled --overwrite"
        ),
    )
    ROLE_NOT_KNOWN = (
        Level.UNKNOWN,
        (
            "Whether something gives these workloads the role that they set is not known: {names}. What could not be "
            "read: {problem}"
        ),
        "docs/cli.md lists the permissions.",
    )
    WORKLOAD_NOT_READ = (
        Level.UNKNOWN,
        "It was not checked, because a field has another form than pods have: {problem}",
        "Correct it where the workload comes from.",
    )
    KIND_NOT_READ = (
        Level.UNKNOWN,
        "Objects of {kind} could not be read: {problem}",
        "{remedy}",
    )
    EVENTS_NOT_READ = (Level.UNKNOWN, "The events about pods that were not created could not be read: {problem}")
    STATUSES_NOT_READ = (
        Level.UNKNOWN,
        (
            "The status of {count:# sidecar|# sidecars} could not be read, so a role that STS refuses can be missing "
            "here: {problem}"
        ),
    )
    STATUSES_OMITTED = (
        Level.NOTE,
        (
            "The status of {read:# sidecar|# sidecars} was read: of pods that are not ready, and of one pod of each "
            "workload. That of {omitted:# more such pod|# more such pods} was not."
        ),
        "podrole check -n NAMESPACE, or --max-sidecars {needed}",
    )
