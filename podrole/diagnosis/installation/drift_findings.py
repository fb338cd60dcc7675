"""The findings about changes of podrole's webhooks: level, sentence, remedy."""

from podrole.findings import FindingTemplate, Level

APPLY = "Apply podrole's manifests again."


class Drift(FindingTemplate):
    """What somebody changed in the webhook configurations."""

    CONDITION_ADDED = (
        Level.PROBLEM,
        (
            "Condition {name} in matchConditions of {configuration} is not podrole's: pods for which it is false start "
            "without podrole's containers, or are refused by the guard."
        ),
        "{command}",
    )
    WEBHOOK_ADDED = (
        Level.WARNING,
        "{configuration} has another webhook, {name}, to which podrole gives its caBundle.",
        "{command}",
    )
    OBJECTS_LEFT_OUT = (
        Level.PROBLEM,
        (
            "{configuration} has an objectSelector: pods start without podrole's containers, or are refused by the "
            "guard, by labels that their authors set."
        ),
        APPLY,
    )
    NAMESPACES_LEFT_OUT = (
        Level.PROBLEM,
        (
            "The namespaceSelector of {configuration} requires more than the label ({requirement}): pods of other "
            "labelled namespaces start without podrole's containers, or are refused by the guard."
        ),
        APPLY,
    )
    RULES_ADDED = (
        Level.WARNING,
        "The rules of {configuration} cover more than the creation of pods: in an outage, other requests fail too.",
        APPLY,
    )
    PATH_CHANGED = (
        Level.PROBLEM,
        "{configuration} calls the path {path}, where podrole does not answer: every pod is rejected.",
        "Apply podrole's manifests again: the path is {expected}.",
    )
    TIMEOUT_SHORT = (
        Level.WARNING,
        "timeoutSeconds of {configuration} is {value}: pods are rejected while the API server is slow.",
        "Apply podrole's manifests again; 5 or more is right.",
    )
    WARNINGS_REGISTERED = (Level.OK, "The webhook workloads.podrole.io is registered: `kubectl apply` prints warnings.")
    WARNINGS_NOT_REGISTERED = (
        Level.NOTE,
        "The webhook workloads.podrole.io is not registered: nothing warns whoever applies a workload.",
        APPLY,
    )
    WARNINGS_FAIL_CLOSED = (
        Level.WARNING,
        (
            "failurePolicy of the webhook workloads.podrole.io is not Ignore: while podrole is unreachable, no "
            "workload can be applied in labelled namespaces."
        ),
        APPLY,
    )
    WARNINGS_NOT_TRUSTED = (
        Level.WARNING,
        "The webhook workloads.podrole.io has no valid caBundle: nothing warns whoever applies a workload.",
        "Check the injector's log: it needs permission to patch the ValidatingWebhookConfiguration.",
    )
