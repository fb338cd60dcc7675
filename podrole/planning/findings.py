"""The findings of a plan: level, sentence, remedy. The other modules decide which of them apply."""

from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.findings import FindingTemplate, Level


class PlanFinding(FindingTemplate):
    """About one workload."""

    WOULD_BE_DENIED = (Level.PROBLEM, "The webhook would deny the pods: [{code}] {reason}", "{remedy}")
    ROLE_ACCOUNT_UNKNOWN = (
        Level.UNKNOWN,
        "Its role is a name, and the webhook's account could not be read: without one, the pods would be denied.",
        "Add --account-id, or --base-role-arn if roles have a path.",
    )
    DENIED_AT_RESTART = (
        Level.PROBLEM,
        (
            "{count:The running pod was|The # running pods were} admitted without podrole. With it, the next restart "
            "takes {count:it|them} down."
        ),
        "Mend this before the namespace has the label, and do not restart it before.",
    )
    ACCOUNT_MISSING = (
        Level.PROBLEM,
        "ServiceAccount {account} does not exist, so the API server rejects the pods.",
        "kubectl -n {namespace} create serviceaccount {word}",
    )
    ACCOUNT_UNKNOWN = (
        Level.UNKNOWN,
        "ServiceAccount {account} is not among the manifests: its role, if it has one, is unknown.",
        "Add its manifest.",
    )
    ROLE_NOT_GIVEN = (
        Level.PROBLEM,
        "Its annotations name the role {role}, and the pods would not get it: {reason}",
    )
    CREDENTIALS_LOST = (
        Level.WARNING,
        (
            "The pods get {role} from {system} now, and would get no credentials: no annotation that podrole reads "
            "names a role."
        ),
        "Annotate the pod template or its ServiceAccount with iam.amazonaws.com/role.",
    )
    UNCHANGED = (Level.NOTE, "The pods stay as they are: {reason}")
    NO_LONGER_INJECTED = (
        Level.WARNING,
        "{count:# of the pods is|# of the pods are} injected, and new ones would not be: {reason}",
    )
    IRSA_PREFERRED = (
        Level.WARNING,
        (
            "IRSA's webhook gives the pods variables that AWS SDKs prefer to podrole's, so they go on using IRSA: "
            "ServiceAccount {account} has eks.amazonaws.com/role-arn."
        ),
        (
            "kubectl -n {namespace} annotate serviceaccount {word} iam.amazonaws.com/role={role} "
            "eks.amazonaws.com/role-arn-"
        ),
    )
    ROLE_CHANGES = (
        Level.WARNING,
        "The pods get {role} from {system} now, and would get another role: {then}.",
        (
            "Check which one is meant: PODROLE_ACCOUNT_ID or PODROLE_BASE_ROLE_ARN completes names, and an annotation "
            "of the pod takes precedence over those of its ServiceAccount."
        ),
    )
    REJECTED_BY_LIMIT_RANGE = (
        Level.PROBLEM,
        "LimitRange {name} would reject the pods: {problem}.",
        (
            "Change the LimitRange, or set podrole.io/sidecar-resources on the pod or the namespace. It sets the "
            "resources of podrole-sidecar, and its requests raise those of podrole-redirect."
        ),
    )
    CHANGED_BY_LIMIT_RANGE = (Level.NOTE, "A LimitRange adds {values} to {containers}.")
    REJECTED_BY_QUOTA = (
        Level.PROBLEM,
        "ResourceQuota {name} would reject the pods: it requires {key} of every container, and {containers} has none.",
        "Add a LimitRange with a default, or for podrole-sidecar: set podrole.io/sidecar-resources on the namespace.",
    )
    REDIRECT_FORBIDDEN = (
        Level.PROBLEM,
        "The pods would be rejected or not start, as PODROLE_MODE is redirect: {why}.",
        "Set PODROLE_MODE=auto.",
    )
    GUARANTEED = (
        Level.NOTE,
        (
            "The pods are Guaranteed and stay so: podrole's containers have equal requests and limits, and each pod "
            "requests {cpu} more CPU."
        ),
        "For less, annotate the pod template or the namespace with podrole.io/sidecar-resources: requests.cpu=50m",
    )
    TRUST_MISSING = (
        Level.PROBLEM,
        "The trust policy of {role} ({file}) does not let the pods in.",
        "podrole trust-policy {word} --namespace {namespace} --service-account {account} --merge FILE",
    )
    TRUST_UNKNOWN = (
        Level.UNKNOWN,
        "The trust policy of {role} is not among those of --policies.{hint}",
        "Add it, as `aws iam get-role` prints it.",
    )
    TRUST_UNREADABLE = (Level.UNKNOWN, "The trust policy of {role} ({file}) cannot be checked: {problem}.")
    UNREADABLE = (Level.UNKNOWN, "The pods cannot be planned: {problem}.")
    POD_TEMPLATE_UNKNOWN = (Level.UNKNOWN, "{owner} was not planned: {why}", "{remedy}")


class NamespaceFinding(FindingTemplate):
    """About one namespace."""

    LABELLED_OTHERWISE = (
        Level.WARNING,
        (
            "It has {found}, which enables nothing. It is shown as it would be with the label "
            f"{INJECTION_LABEL}: {INJECTION_ENABLED}."
        ),
    )
    NOT_SELECTED = (
        Level.WARNING,
        "podrole's webhook is not called for its pods ({mismatch}). It is shown as if it were.",
    )
    NAMESPACE_NOT_FOUND = (Level.PROBLEM, "Namespace {namespace} does not exist.", "Check the spelling.")
    TERMINATING = (Level.NOTE, "It is being deleted and gets no new pods, so its workloads were not planned.")
    LEFT_OUT = (
        Level.NOTE,
        f"The label {INJECTION_LABEL}: {{value}} leaves it out on purpose, so its workloads were not planned.",
        f"To plan it, which changes no pod: kubectl label namespace {{namespace}} {INJECTION_LABEL}-",
    )
    NAMESPACE_UNKNOWN = (
        Level.UNKNOWN,
        "It is not known ({why}), so its label, allow-list, default role and PodSecurity level were not checked.",
    )
    QUOTA_TOO_SMALL = (
        Level.PROBLEM,
        (
            "ResourceQuota {name} has no room for podrole's containers: {used} of {hard} {key} are used, and they add "
            "{added}."
        ),
        "Raise {key} of ResourceQuota {name} in namespace {namespace} to at least {needed}.",
    )
    QUOTA_TOO_SMALL_FOR_ROLLOUT = (
        Level.WARNING,
        (
            "ResourceQuota {name} has room for podrole's containers, but not for the additional pods of a rollout of "
            "{workload}: of {key}, {needed} are needed for a moment, and {hard} are allowed."
        ),
        "Raise it, or set maxSurge: 0 for this rollout.",
    )


class ClusterFinding(FindingTemplate):
    """About the cluster."""

    KIND_UNREADABLE = (
        Level.UNKNOWN,
        "Objects of {kind} could not be read, so the plan lacks what they say: {why}.",
        "{remedy}",
    )
    SETTINGS_UNKNOWN = (
        Level.UNKNOWN,
        "Not all settings of the webhook are known ({why}): the default ones were used instead.",
        "Set them with options or variables, such as --account-id.",
    )
    NOT_INSTALLED = (
        Level.NOTE,
        (
            "podrole is not installed, so the plan has the default settings and those that you set; region {region}; "
            "roles given by name {names}."
        ),
        "Set them with options or variables, such as --account-id.",
    )
    SYSTEM_NAMESPACES = (Level.NOTE, "Namespaces that podrole's webhook excludes are left out: {namespaces}.")
    POLICIES_UNREADABLE = (Level.UNKNOWN, "A file of --policies cannot be read as trust policies: {problem}.")
    ISSUER_UNKNOWN = (
        Level.UNKNOWN,
        "The issuer of the cluster's tokens could not be read ({why}), so trust policies were not compared with it.",
        "Set it with --issuer.",
    )
    WEBHOOKS_UNKNOWN = (
        Level.UNKNOWN,
        "The webhooks of the cluster could not be read ({why}), so IRSA's is unknown, and podrole's selector.",
    )
    AGENTS_UNKNOWN = (
        Level.UNKNOWN,
        "Whether kube2iam or Kiam runs could not be read ({why}), so the roles of now are those of the annotations.",
    )
    NODES_HAVE_ROOM = (
        Level.OK,
        "The nodes have {cpu} CPU and {memory} memory free, and podrole adds {added_cpu} and {added_memory}.",
    )
    NODES_FULL = (
        Level.WARNING,
        (
            "The nodes have {cpu} CPU and {memory} memory free, and podrole adds {added_cpu} and {added_memory}: not "
            "all pods would find a node."
        ),
        "Add nodes first, or let the cluster autoscaler do it.",
    )
    NODES_FULL_FOR_ROLLOUT = (
        Level.WARNING,
        (
            "The nodes have {cpu} CPU and {memory} memory free, which is too little for the additional pods of a "
            "rollout of {workload}: they would stay Pending."
        ),
        "Add nodes first, or set maxSurge: 0 for this rollout.",
    )
    NODES_WITHOUT_ROOM = (
        Level.NOTE,
        "Some pods move to other nodes, as there is no room for podrole's containers in all pods of {nodes}.",
    )
    DAEMON_SETS_WITHOUT_ROOM = (
        Level.WARNING,
        (
            "There is no room for podrole's containers in the pods of {nodes}. Pods of DaemonSets cannot move to "
            "another node, and stay Pending, unless their priority is higher: {workloads}."
        ),
        "Free some CPU or memory on these nodes first.",
    )
    NODES_NOT_CHECKED = (
        Level.NOTE,
        "Whether the nodes have room was not checked.",
        "podrole plan -A",
    )
