"""The findings about a pod: level, sentence, remedy. The other modules decide which of them apply."""

from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL, STATUS_ANNOTATION
from podrole.findings import FindingTemplate, Level

RECREATE = "{recreate}"

CLOSE_METADATA = (
    "Set HttpTokens=required and HttpPutResponseHopLimit=1 on the nodes, or deny traffic to the metadata addresses by "
    "a NetworkPolicy."
)


class Injection(FindingTemplate):
    """Whether the pod was injected when it was created."""

    INJECTED = (Level.OK, "The pod was injected in {mode} mode with the role {role}.{reason}")
    BLOCKED = (
        Level.OK,
        "The pod was injected without a role: it gets no credentials, and the metadata addresses are blocked.",
    )
    VERSION_DIFFERS = (
        Level.NOTE,
        "The pod was injected by podrole {version}; this command is {own}.",
        "A difference below may be caused by that.",
    )
    STATUS_WITHOUT_CONTAINERS = (
        Level.WARNING,
        f"The annotation {STATUS_ANNOTATION} says that the pod was injected, but the pod has no podrole container.",
        "Remove the annotation from the pod template: only podrole writes it.",
    )
    NOT_INJECTED = (Level.WARNING, "The pod was not injected: AWS clients in it get the node's role, or none.")
    MIRROR_POD = (
        Level.NOTE,
        "The pod is the mirror of a static pod of a node. Static pods start without any admission webhook.",
    )
    UNSUPPORTED_POD = (Level.WARNING, "{why}")
    NAMESPACE_NOT_LABELLED = (
        Level.WARNING,
        f'Namespace {{namespace}} does not have the label {INJECTION_LABEL}: "{INJECTION_ENABLED}"{{instead}}.',
        f"kubectl label namespace {{namespace}} {INJECTION_LABEL}={INJECTION_ENABLED} --overwrite\n{RECREATE}",
    )
    WEBHOOK_NOT_REGISTERED = (
        Level.PROBLEM,
        "No MutatingWebhookConfiguration of the cluster contains the webhook pods.podrole.io.",
        "Install podrole, or apply its manifests again; then\n" + RECREATE,
    )
    POD_CREATION_NOT_COVERED = (
        Level.PROBLEM,
        "The rules of the webhook in {configuration} do not cover the creation of pods.",
        "Apply podrole's manifests again; then\n" + RECREATE,
    )
    NAMESPACE_EXCLUDED = (
        Level.WARNING,
        (
            "The namespaceSelector of the webhook in {configuration} excludes namespace {namespace}: "
            "its labels do not match `{requirement}`."
        ),
        "Run the pod in a namespace that the selector matches.",
    )
    POD_EXCLUDED = (
        Level.WARNING,
        (
            "The objectSelector of the webhook in {configuration} excludes the pod: "
            "its labels do not match `{requirement}`."
        ),
        "Change the labels in the pod template.",
    )
    MATCH_CONDITION = (
        Level.NOTE,
        (
            "The API server calls the webhook in {configuration} only if its matchCondition {name} is true, which only "
            "the API server can evaluate: {expression}"
        ),
    )
    CREATED_BEFORE_WEBHOOK = (
        Level.WARNING,
        "The pod was created at {created}, before the webhook configuration {configuration} ({since}).",
        RECREATE,
    )
    CREATED_BEFORE_LABEL = (
        Level.WARNING,
        ("No selector excludes the pod now. It was created at {created}, before the namespace was labelled{ignored}."),
        RECREATE,
    )
    NAMESPACE_READ_FAILED = (Level.UNKNOWN, "Cannot determine whether the namespace prevented injection: {problem}.")
    WEBHOOKS_READ_FAILED = (
        Level.UNKNOWN,
        "Cannot determine whether a selector of the webhook prevented injection: {problem}.",
    )


class ExpectedState(FindingTemplate):
    """What the webhook would do with the pod now, and how the pod differs from that."""

    SETTINGS_UNKNOWN = (
        Level.UNKNOWN,
        "Cannot determine what the webhook would do now: {problem}",
        (
            "Set the webhook's PODROLE_* variables in the environment of this command, at least PODROLE_SIDECAR_IMAGE "
            "and PODROLE_REGION."
        ),
    )
    CONTEXT_READ_FAILED = (Level.UNKNOWN, "Cannot determine what the webhook would do now: {problem}.")
    TEMPLATE_NOT_READ = (
        Level.NOTE,
        "The webhook uses its own template ({path}), which could not be read. The default template was used instead.",
        "Set PODROLE_TEMPLATE to a copy of it.",
    )
    SETTINGS_NOT_READ = (Level.NOTE, "These sources of the webhook's settings could not be read: {gaps}.")
    WOULD_INJECT = (Level.OK, "The webhook would inject the role {role} in {mode} mode. {reason}")
    WOULD_BLOCK = (Level.NOTE, "The webhook would block the pod. {reason}")
    WOULD_SKIP = (Level.NOTE, "The webhook would not change the pod. {reason}")
    WOULD_DENY = (Level.PROBLEM, "The webhook would deny the pod: [{code}] {reason}")
    WITH_LABEL = (Level.NOTE, "With the label on the namespace: {text}")
    INJECTION_NOTE = (Level.NOTE, "{text}")
    INJECTION_WARNING = (Level.WARNING, "{text}")
    NODE_ACCESS_ALLOWED = (
        Level.WARNING,
        (
            'Container "{container}" could become user 16925 and get the node\'s role: {problem}. '
            "PODROLE_NODE_ACCESS_REQUIRES_USERS=false allows it."
        ),
        "Set runAsUser and allowPrivilegeEscalation: false in its securityContext, and for root drop SETUID.",
    )
    UP_TO_DATE = (Level.OK, "The pod is up to date.")
    ROLE_CHANGED = (
        Level.WARNING,
        "The pod has {has}. A new pod would have {gets}: a change applies only to new pods.",
        RECREATE,
    )
    MODE_CHANGED = (Level.WARNING, "The pod is in {has} mode. A new pod would be in {gets} mode.", RECREATE)
    INJECTED_WITHOUT_LABEL = (
        Level.NOTE,
        (
            "The pod was injected nevertheless: by `podrole inject`, or while the namespace had the label. It is "
            "compared with an injection with the label."
        ),
    )
    NO_LONGER_INJECTED = (Level.WARNING, "The pod is injected. A new pod would not be.", RECREATE)
    DRIFTED = (Level.WARNING, "The pod differs from a new pod: {clause}.", RECREATE)


class Change(FindingTemplate):
    """Who changed podrole's containers, where they differ from podrole's own answer."""

    CHANGED_BY_WEBHOOK = (
        Level.WARNING,
        "A new pod would differ, too (dry run): webhook {name} changes podrole's containers after podrole ({clause}).",
        (
            "Exclude containers whose names start with podrole- there; for rewritten images set "
            "PODROLE_IMAGE_REWRITES (docs/images.md)."
        ),
    )
    CHANGED_BY_ONE_OF = (
        Level.WARNING,
        (
            "A new pod would differ, too (dry run): another webhook changes podrole's containers after podrole "
            "({clause}). These are called for the pod: {names}."
        ),
        (
            "Exclude containers whose names start with podrole- there; for rewritten images set "
            "PODROLE_IMAGE_REWRITES (docs/images.md)."
        ),
    )
    CHANGED_BY_NO_WEBHOOK = (
        Level.WARNING,
        (
            "A new pod would differ, too (dry run), and no other mutating webhook is called for it ({clause}). The "
            "settings that this command read may not be those in force, or a MutatingAdmissionPolicy changes pods."
        ),
        "podrole preflight",
    )
    CHANGED_LATER = (
        Level.WARNING,
        (
            "A new pod would not differ (dry run): after the pod's creation, {manager} changed {container} "
            "(field manager, at {time})."
        ),
        "Find out who that is: kubectl -n {namespace} get pod {name} --show-managed-fields -o yaml",
    )
    OLDER_THAN_SETTINGS = (
        Level.NOTE,
        "A new pod would not differ (dry run): the pod is older than the webhook's settings, template or version.",
    )
    DRY_RUN_NOT_POSSIBLE = (
        Level.NOTE,
        "Who changed the pod is unknown: a copy of it could not be created in a dry run: {message}",
    )


class Sidecar(FindingTemplate):
    """The state of the injected containers, from the kubelet and from the sidecar itself."""

    CONTAINER_NOT_CREATED = (
        Level.NOTE,
        "The kubelet has not reported on {container} yet; the pod is {phase}{reason}.",
        "kubectl -n {namespace} describe pod {name}",
    )
    CONTAINER_WAITING = (Level.NOTE, "{container} is waiting: {reason}{message}")
    CONTAINER_NOT_STARTED = (
        Level.PROBLEM,
        "{container} cannot be started: {reason}{message}",
        "kubectl -n {namespace} describe pod {name}",
    )
    IMAGE_PULL_FAILED = (
        Level.PROBLEM,
        "{container} cannot start because its image cannot be pulled: {reason}{message}",
        (
            "Set PODROLE_SIDECAR_IMAGE to an image that the nodes can pull. If its registry needs a login, the Secrets "
            "of PODROLE_IMAGE_PULL_SECRETS must be in the pod's namespace:\nkubectl -n {namespace} get secrets"
        ),
    )
    CRASH_LOOP = (
        Level.PROBLEM,
        "{container} keeps exiting ({reason}, restart count {restarts}): exit code {code}, {meaning}{message}",
        "{remedy}",
    )
    CONTAINER_FAILED = (Level.PROBLEM, "{container} exited with code {code}, {meaning}{message}", "{remedy}")
    CONTAINER_RESTARTED = (
        Level.WARNING,
        "{container} is running (restart count {restarts}). Last exit code {code}, {meaning}{message}",
        "{remedy}",
    )
    CONTAINER_RUNNING = (Level.OK, "{container} has been running since {since}.")
    STARTUP_PROBE_FAILING = (
        Level.WARNING,
        "{container} has been running since {since}, but its startup probe has not succeeded: the pod waits for it.",
        "kubectl -n {namespace} logs {name} -c {container}",
    )
    CONTAINER_COMPLETED = (Level.OK, "{container} completed.")
    EVENT = (Level.NOTE, "Event {reason} (count {count}, last at {last}): {message}")

    SERVING = (Level.OK, "The sidecar serves credentials of {role}; they expire in {left}{refreshed}.")
    NODE_CREDENTIAL_SOURCE = (
        Level.WARNING,
        "The credentials come from the node's own role (credential source node), so root in the pod can get that role.",
        "Use web-identity if the cluster has an OIDC issuer.",
    )
    STATE_NOT_SAVED = (
        Level.WARNING,
        "The sidecar cannot save its credentials: {error}. After a restart of its container it depends on STS.",
        "Find out what fills the pod's /dev/shm or has made it read-only. The sidecar tries again every 30 s.",
    )
    NODE_METADATA_OPEN = (
        Level.WARNING,
        (
            "The node's metadata service answers this pod, which is in env mode, so its apps can get the node's role: "
            "{addresses} (measured {measured})."
        ),
        CLOSE_METADATA,
    )
    NODE_METADATA_CLOSED = (
        Level.OK,
        "The node's metadata service does not answer this pod: {addresses} (measured {measured}).",
    )
    ROLE_MISMATCH = (
        Level.WARNING,
        "The sidecar serves credentials of {role}, but its specification names {specified}.",
        "Find out who changed the container, or delete the pod.",
    )
    REFRESH_FAILING = (
        Level.WARNING,
        "The credentials expire in {left}, and the last {failures:attempt|# attempts} to renew them failed. {failure}",
        "{remedy}",
    )
    NO_CREDENTIALS_YET = (Level.WARNING, "The sidecar has no credentials yet: STS has not answered.")
    NO_CREDENTIALS = (Level.PROBLEM, "The sidecar has no credentials. {failure}", "{remedy}")
    STS_DENIED = (Level.PROBLEM, "STS denied the role {role}. {failure}", "{remedy}\n{command}")
    STATUS_READ_FAILED = (
        Level.UNKNOWN,
        "The sidecar's status could not be read: {problem}",
        "kubectl -n {namespace} exec {name} -c {container} -- {command}",
    )
