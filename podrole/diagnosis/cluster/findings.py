"""The findings about a cluster: level, sentence, remedy. The checks decide which of them apply."""

from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.findings import FindingTemplate, Level


class Kubernetes(FindingTemplate):
    """The API server and the nodes."""

    API_SERVER_SUPPORTED = (Level.OK, "The API server is {version} and supports native sidecars.")
    API_SERVER_VERSION_UNKNOWN = (Level.UNKNOWN, "The API server's version '{version}' is not a valid version.")
    API_SERVER_TOO_OLD = (
        Level.PROBLEM,
        "The API server is {version}. Native sidecars require 1.29, so every pod with a role is denied.",
        "Upgrade the cluster.",
    )
    NATIVE_SIDECARS_NOT_CONFIRMED = (
        Level.PROBLEM,
        (
            "With an API server of {version}, a kubelet may be older than 1.29, so pods with a role are denied until "
            "you confirm that all kubelets support native sidecars. All kubelets of this cluster do (nodes: {count})."
        ),
        "Set PODROLE_NATIVE_SIDECARS_CONFIRMED=true on the webhook.",
    )
    NATIVE_SIDECARS_CONFIRMATION_NEEDED = (
        Level.NOTE,
        (
            "With an API server of {version}, the webhook needs PODROLE_NATIVE_SIDECARS_CONFIRMED=true. Every "
            "kubelet of this cluster supports native sidecars (nodes: {count})."
        ),
    )
    KUBELETS_TOO_OLD = (
        Level.PROBLEM,
        "On kubelets older than 1.29 an injected pod never finishes its start: {nodes}.",
        "Upgrade these nodes, or do not schedule injected pods on them.",
    )
    NATIVE_SIDECARS_WRONGLY_CONFIRMED = (
        Level.PROBLEM,
        "PODROLE_NATIVE_SIDECARS_CONFIRMED is true, but these kubelets are older than 1.29: {nodes}.",
        "Set it to false until they are upgraded.",
    )
    KUBELETS_SUPPORTED = (Level.OK, "Every kubelet is 1.29 or newer: {versions} (nodes: {count}).")
    NO_NODES = (Level.NOTE, "The cluster has no nodes.")
    WINDOWS_NODES = (
        Level.NOTE,
        (
            "Traffic of Windows pods cannot be redirected. They keep the node's role, or are denied if they request a "
            "role: {nodes}."
        ),
        "Block the metadata addresses on these nodes in another way.",
    )
    MIXED_ARCHITECTURES = (
        Level.NOTE,
        "The nodes have different architectures ({architectures}).",
        "Make sure that PODROLE_SIDECAR_IMAGE is available for all of them.",
    )
    VIRTUAL_NODES = (
        Level.WARNING,
        (
            "These nodes are virtual kubelets, which run pods elsewhere: {nodes}. The redirect or native sidecars may "
            "not work there, and injected pods then do not start."
        ),
        "podrole preflight --probe --probe-node NAME; keep pods with a role from nodes where it fails.",
    )
    FARGATE_NODES = (
        Level.NOTE,
        "Fargate forbids the redirect: pods with schedulerName fargate-scheduler (EKS sets it) get env mode: {nodes}.",
    )
    FARGATE_NODES_REDIRECTED = (
        Level.WARNING,
        "Fargate forbids the redirect, and with PODROLE_MODE=redirect injected pods cannot start there: {nodes}.",
        "Set PODROLE_MODE=auto: pods with schedulerName fargate-scheduler, as EKS sets it, then get env mode.",
    )


class Issuer(FindingTemplate):
    """The issuer of the pods' tokens, whose keys STS fetches."""

    ISSUER_PUBLIC = (Level.OK, "AWS can look up the issuer of the pods' tokens: {issuer}.")
    ISSUER_UNREACHABLE = (
        Level.PROBLEM,
        ("AWS cannot verify the pods' tokens, so STS refuses every role: their issuer is {issuer}, but {problems}."),
        (
            "Publish the discovery document and the keys under a public https:// URL, and set it as the API server's "
            "--service-account-issuer (docs/install.md)."
        ),
    )
    ISSUER_ENDS_WITH_SLASH = (
        Level.WARNING,
        "The issuer of the pods' tokens is {issuer}: {problems}.",
        "podrole trust-policy ROLE --cluster",
    )
    ISSUER_FOR_OWN_STS = (
        Level.NOTE,
        (
            "AWS could not use the issuer {issuer} ({problems}), but PODROLE_STS_ENDPOINT is {endpoint}: that server "
            "must be able to fetch the issuer's discovery document and keys."
        ),
    )
    ISSUER_NOT_USED = (
        Level.NOTE,
        "AWS could not use the issuer {issuer} ({problems}), but PODROLE_CREDENTIAL_SOURCE=node uses no token.",
    )


class OtherInjectors(FindingTemplate):
    """Other webhooks that change pods, and node agents that provide AWS credentials."""

    NO_OTHER_WEBHOOK = (Level.OK, "No other webhook changes pods.")
    PODROLE_WEBHOOK = (
        Level.OK,
        "{position}. {name} ({configuration}; failurePolicy {failure}, reinvocationPolicy {reinvocation}): podrole.",
    )
    OTHER_WEBHOOK = (
        Level.NOTE,
        "{position}. {name} ({configuration}; failurePolicy {failure}, reinvocationPolicy {reinvocation}){meaning}",
    )
    REINVOCATION_NEVER = (
        Level.WARNING,
        (
            "podrole's webhook has reinvocationPolicy Never, and {names} may change pods after it. Containers that "
            "they add get no role, and init containers that they put first run before the redirect rules are loaded."
        ),
        "Set reinvocationPolicy: IfNeeded on podrole's webhook.",
    )
    IRSA_SERVICE_ACCOUNTS = (
        Level.WARNING,
        (
            "IRSA's webhook is installed, and these ServiceAccounts have its annotation: {accounts}. AWS SDKs prefer "
            "IRSA's variables to podrole's, so their pods do not use the sidecar."
        ),
        "Replace the annotation eks.amazonaws.com/role-arn with iam.amazonaws.com/role on these ServiceAccounts.",
    )
    NO_IRSA_SERVICE_ACCOUNT = (
        Level.OK,
        "No ServiceAccount in a labelled namespace gets a role from IRSA's webhook as well.",
    )
    NODE_AGENT = (Level.NOTE, "DaemonSet {name} is {agent}. {meaning}", "{remedy}")
    NO_NODE_AGENT = (Level.OK, "No node agent that provides AWS credentials was found.")


class Namespaces(FindingTemplate):
    """The labelled or requested namespaces."""

    NO_NAMESPACE_LABELLED = (
        Level.NOTE,
        "No namespace has the label that enables injection.",
        f"kubectl label namespace NAME {INJECTION_LABEL}={INJECTION_ENABLED}",
    )
    NAMESPACE_NOT_FOUND = (Level.PROBLEM, "Namespace {namespace} does not exist.", "Check the spelling.")
    NAMESPACE_NOT_LABELLED = (
        Level.NOTE,
        (
            "Namespace {namespace} does not have the label that enables injection. The other findings apply once it "
            "is labelled."
        ),
        f"kubectl label namespace {{namespace}} {INJECTION_LABEL}={INJECTION_ENABLED}",
    )
    NAMESPACE_LABELLED_OTHERWISE = (
        Level.WARNING,
        (
            "Namespace {namespace} has {found}, which enables nothing: "
            f"the label is {INJECTION_LABEL}: {INJECTION_ENABLED}."
        ),
        f"kubectl label namespace {{namespace}} {INJECTION_LABEL}={INJECTION_ENABLED} --overwrite",
    )
    REDIRECT_MODE = (Level.OK, "Pods get redirect mode: {namespaces}.")
    ENV_MODE = (Level.OK, "Pods get env mode, as configured by PODROLE_MODE: {namespaces}.")
    ENV_MODE_BY_POD_SECURITY = (
        Level.NOTE,
        (
            "PodSecurity {level} does not allow the redirect, so pods get their role in env mode and {reach}. Pods "
            "without a role are not changed: {namespaces}."
        ),
        "Set HttpTokens=required and HttpPutResponseHopLimit=1 on the nodes.",
    )
    REDIRECT_FORBIDDEN = (
        Level.PROBLEM,
        "PODROLE_MODE is redirect, and PodSecurity {level} rejects every injected pod: {namespaces}.",
        "Set PODROLE_MODE=auto.",
    )
    POD_SECURITY_DEFAULT_UNKNOWN = (
        Level.NOTE,
        (
            "The API server's PodSecurity default for namespaces without the label cannot be read. The dry run of a "
            "pod is subject to it."
        ),
    )


class Workloads(FindingTemplate):
    """Workloads that lack pods because of podrole."""

    NO_WORKLOAD_REJECTED = (
        Level.OK,
        "No workload lacks pods that podrole rejected (custom kinds were not read).",
    )
    WORKLOADS_REJECTED = (
        Level.PROBLEM,
        "podrole rejects new pods of {count:a workload|# workloads}: {names}.",
        "podrole check -A   # names the cause of each",
    )
