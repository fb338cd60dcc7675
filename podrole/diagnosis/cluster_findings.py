"""What can be said about a cluster and what lives in it: level, sentence, remedy. Decided elsewhere."""

from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from podrole.findings import FindingTemplate, Level


class Kubernetes(FindingTemplate):
    """The API server and the nodes."""

    SERVER = (Level.OK, "The API server is {version}: it knows native sidecars.")
    SERVER_UNCLEAR = (Level.UNKNOWN, "The API server's version is {version!r}, which cannot be read.")
    SERVER_TOO_OLD = (
        Level.PROBLEM,
        "The API server is {version}: native sidecars came with 1.29, so every pod with a role is denied.",
        "Upgrade the cluster.",
    )
    CONFIRM_KUBELETS = (
        Level.PROBLEM,
        (
            "Beside an API server of {version} a kubelet may be older than 1.29, so pods with a role are denied until "
            "the operator says that none is. None of the {count} here is."
        ),
        "Set PODROLE_NATIVE_SIDECARS_CONFIRMED=true on the webhook.",
    )
    WILL_NEED_CONFIRMATION = (
        Level.NOTE,
        (
            "Beside an API server of {version} the webhook needs PODROLE_NATIVE_SIDECARS_CONFIRMED=true; none of the "
            "{count} kubelets here is older than 1.29."
        ),
    )
    KUBELETS_TOO_OLD = (
        Level.PROBLEM,
        "Kubelets older than 1.29 would never finish the start of an injected pod: {nodes}.",
        "Upgrade these nodes, or keep injected pods off them.",
    )
    CONFIRMED_WRONGLY = (
        Level.PROBLEM,
        "PODROLE_NATIVE_SIDECARS_CONFIRMED is true, but these kubelets are older than 1.29: {nodes}.",
        "Set it to false until they are upgraded.",
    )
    KUBELETS = (Level.OK, "Every kubelet is 1.29 or newer: {versions} on {count}.")
    NO_NODES = (Level.NOTE, "The cluster has no nodes now.")
    WINDOWS = (
        Level.NOTE,
        "Pods on Windows cannot be redirected: they keep the node's role, or are denied if they ask for one: {nodes}.",
        "Close the metadata addresses there by other means.",
    )
    ARCHITECTURES = (
        Level.NOTE,
        "The nodes are of several architectures ({architectures}).",
        "Make sure that PODROLE_SIDECAR_IMAGE names an image for all of them.",
    )
    FARGATE = (
        Level.WARNING,
        "Fargate admits no NET_ADMIN, so the redirect cannot run there: {nodes}.",
        "Set PODROLE_MODE=env, or the namespaces' label pod-security.kubernetes.io/enforce to baseline.",
    )


class OtherInjectors(FindingTemplate):
    """Who else changes pods, or answers for AWS."""

    ALONE = (Level.OK, "No other webhook changes pods.")
    OURS = (Level.OK, "{position}. {name} ({configuration}; failurePolicy {failure}, reinvocation {again}): podrole.")
    ANOTHER = (
        Level.NOTE,
        "{position}. {name} ({configuration}; failurePolicy {failure}, reinvocation {again}){meaning}",
    )
    NOT_ASKED_AGAIN = (
        Level.WARNING,
        (
            "podrole's webhook has reinvocationPolicy Never, and {names} may change pods after it: containers that "
            "they add would have no role, and what they put in front would run before the rules."
        ),
        "Set reinvocationPolicy: IfNeeded on it.",
    )
    IRSA = (
        Level.WARNING,
        (
            "IRSA's webhook is installed, and these ServiceAccounts name a role for it: {accounts}. SDKs prefer its "
            "variables to podrole's, so their pods pass the sidecar by."
        ),
        "Name the role by iam.amazonaws.com/role instead of eks.amazonaws.com/role-arn on them.",
    )
    NO_IRSA = (Level.OK, "No ServiceAccount of a labelled namespace has a role by IRSA's webhook too.")
    AGENT = (Level.NOTE, "DaemonSet {name} is {agent}. {meaning}", "{remedy}")
    NO_AGENT = (Level.OK, "No node agent that hands out AWS roles was found.")


class Namespaces(FindingTemplate):
    """The namespaces that have the label."""

    NONE_LABELLED = (
        Level.NOTE,
        "No namespace has the label that turns injection on.",
        f"kubectl label namespace NAME {INJECTION_LABEL}={INJECTION_ENABLED}",
    )
    MISSING = (Level.PROBLEM, "There is no namespace {namespace}.", "Look at its spelling.")
    NOT_LABELLED = (
        Level.NOTE,
        "Namespace {namespace} lacks the label that turns injection on. What is said below holds once it has it.",
        f"kubectl label namespace {{namespace}} {INJECTION_LABEL}={INJECTION_ENABLED}",
    )
    REDIRECT = (Level.OK, "Redirect mode: {namespaces}.")
    ENV = (Level.OK, "Env mode, as the operator configured it: {namespaces}.")
    ENV_BY_POD_SECURITY = (
        Level.NOTE,
        (
            "PodSecurity {level} forbids the redirect, so pods get their role in env mode, which is no wall around the "
            "node's role; pods without a role are left untouched: {namespaces}."
        ),
        "Limit the hops of the node's metadata service (HttpPutResponseHopLimit 1).",
    )
    REDIRECT_REFUSED = (
        Level.PROBLEM,
        "PODROLE_MODE is redirect, and PodSecurity {level} will refuse every injected pod of {namespaces}.",
        "Set PODROLE_MODE=auto.",
    )
    DEFAULT_UNSEEN = (
        Level.NOTE,
        (
            "Whether the API server has a PodSecurity default for namespaces without the label cannot be read; "
            "the dry run of a pod meets it."
        ),
    )
    QUOTA = (
        Level.PROBLEM,
        (
            "ResourceQuota {name} limits {resource}, which {containers} do not set, and no LimitRange gives a default: "
            "every injected pod is refused."
        ),
        "Add a LimitRange with a default for {short} to namespace {namespace}.",
    )
    LIMIT_RANGE = (
        Level.PROBLEM,
        "LimitRange {name} refuses {container}: {clause}.",
        "Change the LimitRange, or the resources in the webhook's template (PODROLE_TEMPLATE).",
    )
    ROOM = (Level.OK, "No ResourceQuota or LimitRange refuses podrole's containers.")
