"""The findings about pods in a dry run: level, sentence, remedy."""

from podrole.findings import FindingTemplate, Level


class DryRun(FindingTemplate):
    """The API server's answers to the creation of a pod in a dry run, which stores nothing."""

    DRY_RUN_INJECTED = (Level.OK, "The webhook injected a pod in a dry run: namespaces {namespaces}.")
    DRY_RUN_ROLE_NOT_ALLOWED = (
        Level.OK,
        (
            "The webhook answered a dry run: it denied the test role, which is not in the allow-list of these "
            "namespaces: {namespaces}."
        ),
    )
    DRY_RUN_NOT_INJECTED = (
        Level.PROBLEM,
        "A pod in a dry run in namespace {namespace} was not injected: pods there get the node's role, or none.",
        "Compare the namespaceSelector with the namespace's labels, and check failurePolicy.",
    )
    DRY_RUN_DENIED = (Level.PROBLEM, "The webhook denied a pod in a dry run in namespace {namespace}: {message}")
    WEBHOOK_UNREACHABLE = (
        Level.PROBLEM,
        "The API server could not call the webhook (dry run in namespace {namespace}): {message}",
        (
            "x509: the caBundle does not match the certificate. Connection refused or timeout: no pod is ready, or the "
            "control plane cannot reach port 9443 on the nodes."
        ),
    )
    RESOURCE_QUOTA = (
        Level.PROBLEM,
        "A ResourceQuota rejected a pod in a dry run in namespace {namespace}: {message}",
        (
            "must specify: add a LimitRange with defaults for these resources to the namespace, or set them in the "
            "webhook's template (PODROLE_TEMPLATE). exceeded quota: raise the quota."
        ),
    )
    BECAUSE_OF_PODROLE = (
        Level.NOTE,
        "Without podrole, namespace {namespace} would accept that pod. podrole adds {added}.",
        "Set podrole.io/sidecar-resources on the namespace (docs/annotations.md).",
    )
    NOT_BECAUSE_OF_PODROLE = (
        Level.NOTE,
        "Namespace {namespace} would reject that pod, which requests 100m and 128Mi itself, without podrole, too.",
    )
    LIMIT_RANGE = (
        Level.PROBLEM,
        "A LimitRange rejected a pod in a dry run in namespace {namespace}: {message}",
        "Change the LimitRange, or the resources in the webhook's template (PODROLE_TEMPLATE).",
    )
    POLICY = (
        Level.PROBLEM,
        "A webhook or policy of the cluster rejected a pod in a dry run in namespace {namespace}: {message}",
        (
            "It can be about podrole's containers: allow there the sidecar's image, and for podrole-redirect the "
            "capability NET_ADMIN. Where only that is in the way, this makes podrole use env mode:\n"
            "kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=baseline"
        ),
    )
    OTHER_WEBHOOK_UNREACHABLE = (
        Level.PROBLEM,
        "The API server could not call another webhook (dry run in namespace {namespace}): {message}",
        "It rejects pods without podrole, too: ask whoever operates it.",
    )
    DRY_RUN_REJECTED = (
        Level.PROBLEM,
        "The API server rejected a pod in a dry run in namespace {namespace}: {message}",
        "If the message names a podrole container, injected pods are rejected in this namespace.",
    )
    DRY_RUN_FORBIDDEN = (Level.UNKNOWN, "The dry run of a pod in namespace {namespace} was not possible: {message}")
    DRY_RUN_OMITTED = (
        Level.NOTE,
        "No dry run was made in these labelled namespaces: {namespaces}.",
        "podrole preflight --namespace NAME",
    )
    DRY_RUN_SKIPPED = (Level.NOTE, "The dry run of a pod was skipped (--no-dry-run).")
    DRY_RUN_NOT_APPLICABLE = (
        Level.NOTE,
        "No dry run of a pod was made, because podrole is not registered or no namespace is labelled.",
    )
