"""What can be said about an installed webhook and its configuration: level, sentence, remedy. Decided elsewhere."""

from podrole.findings import FindingTemplate, Level


class Registration(FindingTemplate):
    """The MutatingWebhookConfiguration, what it points at, and whether that answers."""

    NOT_INSTALLED = (Level.NOTE, "podrole is not installed: neither its webhook nor its Deployment is there.")
    ABSENT = (
        Level.PROBLEM,
        "No MutatingWebhookConfiguration has the webhook pods.podrole.io: no pod is injected.",
        "Apply podrole's configuration again.",
    )
    PRESENT = (Level.OK, "The webhook pods.podrole.io is registered in {configuration}.")
    DUPLICATE = (
        Level.PROBLEM,
        "The webhook pods.podrole.io is registered {count} times ({configurations}): pods are asked about twice.",
        "Delete all but one.",
    )
    NOT_FOR_PODS = (
        Level.PROBLEM,
        "The rules of {configuration} do not cover the creation of pods.",
        "Apply podrole's configuration again.",
    )
    IGNORES = (
        Level.WARNING,
        (
            "failurePolicy of {configuration} is Ignore: when the webhook cannot be reached, pods start with the "
            "node's role instead of their own."
        ),
        "Set failurePolicy: Fail, once the webhook has been seen to work.",
    )
    ASKED_EVERYWHERE = (
        Level.WARNING,
        (
            "The namespaceSelector of {configuration} also matches namespaces without the label: while the webhook is "
            "down, no pod of the whole cluster can be created."
        ),
        'Add matchLabels podrole.io/injection: "enabled" to it.',
    )
    SYSTEM_NAMESPACES = (
        Level.WARNING,
        (
            "The namespaceSelector of {configuration} does not exclude {namespaces}: labelled by mistake, the cluster "
            "could not start what the webhook itself needs."
        ),
        "Add them to the NotIn of kubernetes.io/metadata.name.",
    )
    SIDE_EFFECTS = (
        Level.WARNING,
        "sideEffects of {configuration} is {effects}: the API server refuses dry runs of pods.",
        "Set sideEffects: None.",
    )
    NO_CA = (
        Level.PROBLEM,
        "{configuration} has no caBundle, so the API server trusts no certificate of the webhook.",
        "Look at the injector's log: it writes the caBundle, for which it needs the right to patch the configuration.",
    )
    BAD_CA = (Level.PROBLEM, "The caBundle of {configuration} cannot be used: {problem}.", "Remove it.")
    CA_EXPIRED = (
        Level.PROBLEM,
        "No authority in the caBundle of {configuration} is valid now: the last one ended {end}.",
        "Look at the injector's log: it renews them.",
    )
    CA_ENDS = (
        Level.WARNING,
        "The last authority in the caBundle of {configuration} ends in {days} d, {end}.",
        "Look at the injector's log: it should have been renewed.",
    )
    CA = (Level.OK, "The caBundle of {configuration} is valid until {end}.")
    CERTIFICATE_AT_URL = (
        Level.NOTE,
        "{configuration} has a URL and no Service: the certificate there is not looked at, the dry run proves it.",
    )
    CERTIFICATE_ABSENT = (
        Level.PROBLEM,
        "Secret {secret} holds no certificate.",
        "Look at the injector's log, or at cert-manager's Certificate.",
    )
    CERTIFICATE_UNTRUSTED = (
        Level.PROBLEM,
        "The certificate in Secret {secret} was not issued by an authority of the caBundle.",
        "Look at who writes the caBundle (GitOps?) and at the injector's log.",
    )
    CERTIFICATE_NAMES = (
        Level.PROBLEM,
        "The certificate in Secret {secret} is not for {name}, but for {names}.",
        "Have it issued for that name: the API server asks by it.",
    )
    CERTIFICATE_EXPIRED = (
        Level.PROBLEM,
        "The certificate in Secret {secret} is not valid now: it ends {end}.",
        "Look at the injector's log, or at cert-manager's Certificate.",
    )
    CERTIFICATE_ENDS = (
        Level.WARNING,
        "The certificate in Secret {secret} ends in {days} d, {end}.",
        "Look at the injector's log: it should have been renewed.",
    )
    CERTIFICATE = (Level.OK, "The certificate in Secret {secret} is for {name}, trusted, and valid until {end}.")
    NO_SERVICE = (
        Level.PROBLEM,
        "{configuration} points at Service {service}, which does not exist.",
        "Apply podrole's Service again.",
    )
    NO_ENDPOINTS = (
        Level.PROBLEM,
        "No pod behind Service {service} is ready: every pod of a labelled namespace is refused.",
        "kubectl -n {namespace} get pods; kubectl -n {namespace} describe deployment podrole-injector",
    )
    ONE_ENDPOINT = (
        Level.WARNING,
        (
            "One pod alone is ready behind Service {service}: while it restarts, no pod is created in labelled "
            "namespaces."
        ),
        "Run two replicas, on two nodes.",
    )
    ENDPOINTS = (Level.OK, "{count} pods behind Service {service} are ready.")


class DryRun(FindingTemplate):
    """What became of a pod that was created in a dry run. Nothing of it is left."""

    INJECTED = (Level.OK, "A dry run of a pod in namespace {namespace} came back injected: the webhook answers.")
    ROLE_NOT_ALLOWED = (
        Level.OK,
        (
            "The webhook answered a dry run in namespace {namespace}: it refused the made-up role, as the namespace's "
            "allow-list does not have it."
        ),
    )
    UNTOUCHED = (
        Level.PROBLEM,
        "A dry run of a pod in namespace {namespace} came back untouched: pods there have the node's role.",
        "Compare the namespaceSelector with the namespace's labels, and look at failurePolicy.",
    )
    DENIED = (Level.PROBLEM, "The webhook denied a dry run in namespace {namespace}: {message}")
    UNREACHABLE = (
        Level.PROBLEM,
        "The API server could not ask the webhook (dry run in namespace {namespace}): {message}",
        (
            "x509: the caBundle does not fit. Refused or timed out: no ready pod, or the control plane cannot reach "
            "port 9443 of the nodes."
        ),
    )
    REFUSED = (
        Level.PROBLEM,
        "A dry run of a pod in namespace {namespace} was refused: {message}",
        "If it names a container of podrole's, injected pods are refused there.",
    )
    NOT_ALLOWED = (Level.UNKNOWN, "The dry run of a pod in namespace {namespace} was not possible: {message}")
    NOT_WANTED = (Level.NOTE, "The dry run of a pod was left out.")
    NO_NAMESPACE = (
        Level.NOTE,
        "No dry run of a pod: without a webhook and a labelled namespace none would be injected.",
    )


class Configuration(FindingTemplate):
    """How the webhook is configured."""

    INVALID = (Level.PROBLEM, "The webhook cannot start with its configuration: {problem}")
    VALID = (Level.OK, "Nothing in the configuration opens the wall around the node's role.")
    GAPS = (Level.UNKNOWN, "Not looked into, although the webhook has settings from there: {gaps}.")
    TEMPLATE = (
        Level.UNKNOWN,
        "The webhook has a template of its own ({path}), which could not be read: the shipped one was looked at.",
    )
    NODE_SOURCE = (
        Level.WARNING,
        "PODROLE_CREDENTIAL_SOURCE=node is unsafe: any container that runs as the sidecar's user gets the node's role.",
        "Use web identities.",
    )
    OVERRIDES = (
        Level.WARNING,
        "PODROLE_ALLOW_OVERRIDES is {value}: whoever creates pods may open the wall around the node's role.",
        "Unset it, unless everybody who creates pods may have the node's role.",
    )
    PODS_WITHOUT_ROLE_IGNORED = (
        Level.WARNING,
        "PODROLE_PODS_WITHOUT_ROLE is ignore: pods without a role reach the node's.",
        "Set it to block once the cluster has moved over.",
    )
    ENV_EVERYWHERE = (
        Level.WARNING,
        "PODROLE_MODE is env: no pod is kept from the node's role, also where PodSecurity would allow the redirect.",
        "Set it to auto.",
    )
    LATEST = (
        Level.WARNING,
        "The sidecar image {image} can change under its name, and pods of one day run different ones.",
        "Name it by digest: podrole-sidecar@sha256:...",
    )
    NO_DIGEST = (
        Level.NOTE,
        "The sidecar image {image} is not pinned by digest: whoever can push that tag is in every injected pod.",
        "Name it by digest: podrole-sidecar@sha256:...",
    )
    PLAIN_HTTP = (
        Level.WARNING,
        "{variable} is {value}: tokens and credentials cross the network unencrypted.",
        "Use https.",
    )
