"""All that can be said about a pod: level, sentence, remedy. When it is said is decided elsewhere."""

from injector.decision.annotations import STATUS_ANNOTATION
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from podrole.findings import FindingTemplate, Level

RECREATE = "{recreate}"


class Injection(FindingTemplate):
    """What can be said about a pod's creation."""

    INJECTED = (Level.OK, "It was injected in {mode} mode, with the role {role}.{reason}")
    BLOCKED = (Level.OK, "It was injected without a role: it gets no credentials, and metadata addresses are closed.")
    OTHER_VERSION = (
        Level.NOTE,
        "It was injected by podrole {version}, and this command is {own}.",
        "A difference below may come from that.",
    )
    FORGED_STATUS = (
        Level.WARNING,
        f"Its annotation {STATUS_ANNOTATION} says that it was injected, but it has no container of podrole's.",
        "Remove the annotation from what creates the pod: podrole alone writes it.",
    )
    NOT_INJECTED = (Level.WARNING, "It was not injected: AWS clients in it reach the node's role.")
    MIRROR_POD = (
        Level.NOTE,
        "It mirrors a static pod of a node, which runs before any webhook is asked.",
    )
    NO_NETWORK = (Level.WARNING, "{why}")
    NOT_LABELLED = (
        Level.WARNING,
        f'Namespace {{namespace}} lacks the label {INJECTION_LABEL}: "{INJECTION_ENABLED}"{{instead}}.',
        f"kubectl label namespace {{namespace}} {INJECTION_LABEL}={INJECTION_ENABLED} --overwrite\n{RECREATE}",
    )
    NO_WEBHOOK = (
        Level.PROBLEM,
        "The cluster has no MutatingWebhookConfiguration with the webhook pods.podrole.io.",
        "Install podrole, or apply its configuration again; then\n" + RECREATE,
    )
    NOT_ASKED_ABOUT_PODS = (
        Level.PROBLEM,
        "The rules of the webhook in {configuration} do not cover the creation of pods.",
        "Apply podrole's configuration again; then\n" + RECREATE,
    )
    NAMESPACE_EXCLUDED = (
        Level.WARNING,
        (
            "The namespaceSelector of the webhook in {configuration} leaves namespace {namespace} out: "
            "its labels do not meet `{requirement}`."
        ),
        "Run the pod in a namespace that it does not leave out.",
    )
    POD_EXCLUDED = (
        Level.WARNING,
        (
            "The objectSelector of the webhook in {configuration} leaves the pod out: "
            "its labels do not meet `{requirement}`."
        ),
        "Change the pod's labels where it is made.",
    )
    CONDITION = (
        Level.NOTE,
        (
            "The webhook in {configuration} is only asked where its condition {name} is true, which only the API "
            "server can evaluate: {expression}"
        ),
    )
    OLDER_THAN_WEBHOOK = (
        Level.WARNING,
        "It was created at {created}, before the webhook configuration {configuration} ({since}).",
        RECREATE,
    )
    LABELLED_LATER = (
        Level.WARNING,
        "Nothing stands in its way now. It was created at {created}, so the namespace's label came later{ignored}.",
        RECREATE,
    )
    NAMESPACE_UNREAD = (Level.UNKNOWN, "Whether its namespace stopped it is not known: {problem}.")
    WEBHOOKS_UNREAD = (Level.UNKNOWN, "Whether a selector of the webhook stopped it is not known: {problem}.")


class ExpectedState(FindingTemplate):
    """What can be said about the pod's next creation."""

    SETTINGS_UNKNOWN = (
        Level.UNKNOWN,
        "What the webhook would make of it now cannot be said: {problem}",
        (
            "Set the webhook's PODROLE_* variables in the environment of this command, PODROLE_SIDECAR_IMAGE and "
            "PODROLE_REGION at least."
        ),
    )
    SURROUNDINGS_UNREAD = (Level.UNKNOWN, "What the webhook would make of it now cannot be said: {problem}.")
    TEMPLATE_UNREAD = (
        Level.NOTE,
        "The webhook has a template of its own ({path}), which could not be read: the shipped one is compared with.",
        "Set PODROLE_TEMPLATE to a copy of it.",
    )
    GAPS = (Level.NOTE, "Not looked into, although the webhook has settings from there: {gaps}.")
    GIVES_ROLE = (Level.OK, "The webhook would give it the role {role} in {mode} mode. {reason}")
    BLOCKS = (Level.NOTE, "The webhook would block it. {reason}")
    LEAVES = (Level.NOTE, "The webhook would leave it untouched. {reason}")
    DENIES = (Level.PROBLEM, "The webhook would deny it [{code}]: {reason}")
    WITH_LABEL = (Level.NOTE, "With that label on the namespace: {text}")
    WARNS = (Level.NOTE, "{text}")
    WARNS_OF_TROUBLE = (Level.WARNING, "{text}")
    SAME = (Level.OK, "It has just that.")
    ROLE_CHANGED = (
        Level.WARNING,
        "It still has {has}, and created anew it would have {gets}: what has changed since only reaches new pods.",
        "{recreate}",
    )
    MODE_CHANGED = (Level.WARNING, "It is in {has} mode, and created anew it would be in {gets} mode.", "{recreate}")
    BY_HAND = (
        Level.NOTE,
        (
            "It was injected all the same: by `podrole inject`, or the label was there then. It is compared with what "
            "it would be with the label."
        ),
    )
    INJECTED_ALL_THE_SAME = (
        Level.WARNING,
        "It was injected, and created anew it would not be.",
        "{recreate}",
    )
    DRIFTED = (Level.WARNING, "It differs from what it would be now: {clause}.", "{recreate}")


class Sidecar(FindingTemplate):
    """What can be said about the injected containers."""

    NOT_CREATED = (
        Level.NOTE,
        "The kubelet has not reported on {container} yet; the pod is {phase}{reason}.",
        "kubectl -n {namespace} describe pod {name}",
    )
    WAITING = (Level.NOTE, "{container} waits: {reason}{message}")
    IMAGE = (
        Level.PROBLEM,
        "{container} cannot start, as its image cannot be had: {reason}{message}",
        "Make PODROLE_SIDECAR_IMAGE an image that the nodes can pull.",
    )
    CRASHING = (
        Level.PROBLEM,
        "{container} does not stay up ({reason}, restarted {restarts} x): exit code {code}, {meaning}{message}",
        "{remedy}",
    )
    FAILED = (Level.PROBLEM, "{container} ended with exit code {code}, {meaning}{message}", "{remedy}")
    RESTARTED = (
        Level.WARNING,
        "{container} runs, but was restarted {restarts} x. Last end: exit code {code}, {meaning}{message}",
        "{remedy}",
    )
    RUNS = (Level.OK, "{container} runs since {since}.")
    DONE = (Level.OK, "{container} has done its work.")
    EVENT = (Level.NOTE, "Event {reason}, {count} x, last at {last}: {message}")

    SERVING = (Level.OK, "It serves credentials of {role}: {left} left{refreshed}.")
    NODE_SOURCE = (
        Level.WARNING,
        "Its credentials come from the node's own role (source node), which root in the pod can then take.",
        "Use web-identity wherever the cluster has an OIDC issuer.",
    )
    SERVING_ANOTHER = (
        Level.WARNING,
        "It serves credentials of {role}, but its specification names {specified}.",
        "Look at who changed the container, or delete the pod.",
    )
    REFRESH_FAILS = (
        Level.WARNING,
        "It has credentials for {left} more, but could not renew them, {failures} times by now. {failure}",
        "{remedy}",
    )
    STARTING = (Level.WARNING, "It has no credentials to serve yet: STS has not answered.")
    NO_CREDENTIALS = (Level.PROBLEM, "It has no credentials to serve. {failure}", "{remedy}")
    REFUSED = (Level.PROBLEM, "STS refuses it the role {role}. {failure}", "{remedy}")
    STATUS_UNREAD = (
        Level.UNKNOWN,
        "What the sidecar itself says is not known: {problem}",
        "kubectl -n {namespace} exec {name} -c {container} -- {command}",
    )
