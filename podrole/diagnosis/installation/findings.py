"""The findings about podrole's webhook and its configuration: level, sentence, remedy."""

from podrole.findings import FindingTemplate, Level


class Registration(FindingTemplate):
    """The MutatingWebhookConfiguration, its CA bundle, certificate and endpoints."""

    NOT_INSTALLED = (Level.NOTE, "podrole is not installed: it has neither a webhook nor a Deployment.")
    WEBHOOK_NOT_REGISTERED = (
        Level.PROBLEM,
        "No MutatingWebhookConfiguration contains the webhook pods.podrole.io, so no pod is injected.",
        "Apply podrole's manifests again.",
    )
    WEBHOOK_REGISTERED = (Level.OK, "The webhook pods.podrole.io is registered in {configuration}.")
    DUPLICATE_WEBHOOK = (
        Level.PROBLEM,
        "The webhook pods.podrole.io is registered {count} times ({configurations}), so it is called twice for a pod.",
        "Delete all but one.",
    )
    POD_CREATION_NOT_COVERED = (
        Level.PROBLEM,
        "The rules of {configuration} do not cover the creation of pods.",
        "Apply podrole's manifests again.",
    )
    FAILURE_POLICY_IGNORE = (
        Level.WARNING,
        (
            "failurePolicy of {configuration} is Ignore: while the webhook is unreachable, pods start with the node's "
            "role instead of their own."
        ),
        "Set failurePolicy: Fail once the webhook works.",
    )
    NAMESPACE_SELECTOR_TOO_BROAD = (
        Level.WARNING,
        (
            "The namespaceSelector of {configuration} also matches namespaces without the label: while the webhook is "
            "unreachable, no pod can be created in the whole cluster."
        ),
        'Add matchLabels podrole.io/injection: "enabled" to it.',
    )
    SYSTEM_NAMESPACES_NOT_EXCLUDED = (
        Level.WARNING,
        (
            "The namespaceSelector of {configuration} does not exclude {namespaces}: if one is labelled by mistake, "
            "pods that the webhook itself depends on cannot start."
        ),
        "Add them to the NotIn of kubernetes.io/metadata.name.",
    )
    SIDE_EFFECTS = (
        Level.WARNING,
        "sideEffects of {configuration} is {effects}: the API server rejects dry runs of pods.",
        "Set sideEffects: None.",
    )
    CA_BUNDLE_MISSING = (
        Level.PROBLEM,
        "{configuration} has no caBundle, so the API server cannot verify the webhook's certificate.",
        (
            "Check the injector's log: it writes the caBundle and needs permission to patch the configuration. A tool "
            "that applies manifests again, such as Argo CD, must ignore the field (docs/install.md)."
        ),
    )
    CA_BUNDLE_INVALID = (Level.PROBLEM, "The caBundle of {configuration} is not valid: {problem}.", "Remove it.")
    CA_EXPIRED = (
        Level.PROBLEM,
        "No CA in the caBundle of {configuration} is valid now; the last one expired {end}.",
        "Check the injector's log: it renews them.",
    )
    CA_EXPIRES_SOON = (
        Level.WARNING,
        "The last CA in the caBundle of {configuration} expires in {days} d, at {end}.",
        "Check the injector's log: the CA should have been renewed.",
    )
    CA_VALID = (Level.OK, "The caBundle of {configuration} is valid until {end}.")
    CERTIFICATE_NOT_CHECKED = (
        Level.NOTE,
        "{configuration} has a URL instead of a Service, so only the dry run verifies its certificate.",
    )
    CERTIFICATE_MISSING = (
        Level.PROBLEM,
        "Secret {secret} contains no valid certificate.",
        "Check the injector's log, or cert-manager's Certificate.",
    )
    CERTIFICATE_UNTRUSTED = (
        Level.PROBLEM,
        "The certificate in Secret {secret} was not issued by a CA of the caBundle.",
        "Check whether another controller (GitOps?) writes the caBundle, and the injector's log.",
    )
    CERTIFICATE_NAME_MISMATCH = (
        Level.PROBLEM,
        "The certificate in Secret {secret} is not for {name} but for {names}.",
        "Issue a certificate for that name: the API server connects to it.",
    )
    CERTIFICATE_EXPIRED = (
        Level.PROBLEM,
        "The certificate in Secret {secret} is not valid now; it expires {end}.",
        "Check the injector's log, or cert-manager's Certificate.",
    )
    CERTIFICATE_EXPIRES_SOON = (
        Level.WARNING,
        "The certificate in Secret {secret} expires in {days} d, at {end}.",
        "Check the injector's log: the certificate should have been renewed.",
    )
    CERTIFICATE_VALID = (Level.OK, "The certificate in Secret {secret} is for {name}, trusted, and valid until {end}.")
    SERVICE_NOT_FOUND = (
        Level.PROBLEM,
        "{configuration} refers to Service {service}, which does not exist.",
        "Apply podrole's manifests again.",
    )
    NO_READY_ENDPOINT = (
        Level.PROBLEM,
        "No pod of Service {service} is ready: every pod in a labelled namespace is rejected.",
        "kubectl -n {namespace} get pods; kubectl -n {namespace} describe deployment podrole-injector",
    )
    SINGLE_READY_ENDPOINT = (
        Level.WARNING,
        (
            "Only one pod of Service {service} is ready: while it restarts, no pod can be created in labelled "
            "namespaces."
        ),
        "Run two replicas on two nodes.",
    )
    ENDPOINTS_READY = (Level.OK, "{count:# pod|# pods} of Service {service} {count:is|are} ready.")


class Guard(FindingTemplate):
    """The ValidatingAdmissionPolicies."""

    GUARD_IN_EFFECT = (Level.OK, "{count:The guard's policy is|The guard's # policies are} in effect.")
    GUARD_MISSING = (
        Level.WARNING,
        (
            "These policies of the guard are missing, or no ValidatingAdmissionPolicyBinding denies by them: "
            "{policies}. "
            "Users who can patch pods, add ephemeral containers or change the webhook configuration can bypass podrole."
        ),
        "Apply podrole's manifests without the component without-guard.",
    )
    POLICY_CHANGED = (
        Level.WARNING,
        (
            "The guard's policy {policy} is not that of podrole {version}, but differs in {fields}: it may admit what "
            "it must refuse."
        ),
        (
            "kubectl delete validatingadmissionpolicy {policy}, and apply podrole's manifests again: apply alone keeps"
            " added conditions. If the manifests are of another version than this command, use theirs."
        ),
    )
    POLICY_SETTING_DIFFERS = (
        Level.WARNING,
        (
            "{setting} of the webhook is {expected}, but the variable {variable} of the guard's policy {policy} is "
            "{found}: it may refuse what the webhook admits, or admit what it must refuse."
        ),
        "Apply podrole's manifests again, with the component names last (kustomize/README.md).",
    )
    BINDING_NARROWED = (
        Level.WARNING,
        "The guard's policy {policy} applies to some requests only: its binding {bindings} has matchResources.",
        "Apply podrole's manifests again.",
    )
    GUARD_READ_FAILED = (Level.UNKNOWN, "Cannot determine whether the guard's policies are in effect: {problem}.")
    GUARD_NOT_SUPPORTED = (
        Level.NOTE,
        "API server {version} has no ValidatingAdmissionPolicies: nothing checks what the webhook does not see.",
    )


class Configuration(FindingTemplate):
    """The webhook's configuration."""

    CONFIGURATION_INVALID = (Level.PROBLEM, "The webhook cannot start with its configuration: {problem}")
    UNKNOWN_SETTING = (
        Level.PROBLEM,
        "{sentence} ({source}). A replica of the webhook does not start with it.",
        "Correct the name, and apply the manifests again. If the webhook is newer, use its version of this command.",
    )
    UNKNOWN_REGION = (
        Level.WARNING,
        (
            "PODROLE_REGION is {region}, which is none of the regions that this version knows: where it does not "
            "exist, sidecars do not find STS."
        ),
        "Check its spelling: aws account list-regions --query 'Regions[].RegionName'",
    )
    NO_ACCOUNT = (
        Level.NOTE,
        "PODROLE_ACCOUNT_ID and PODROLE_BASE_ROLE_ARN are not set: pods that name a role without its ARN are denied.",
        "Set PODROLE_ACCOUNT_ID, unless all roles are named by their ARNs.",
    )
    NO_ACCOUNT_OUTSIDE_AWS = (
        Level.PROBLEM,
        "PODROLE_ACCOUNT_ID and PODROLE_BASE_ROLE_ARN are not set: pods that name a role without its ARN are denied.",
        "Set PODROLE_ACCOUNT_ID, or PODROLE_BASE_ROLE_ARN=arn:aws:iam:::role/ (docs/outside-aws.md has other stores).",
    )
    STS_OF_AWS = (
        Level.PROBLEM,
        (
            "PODROLE_AWS_ENDPOINT_URL leads apps to {url}, outside AWS, but PODROLE_STS_ENDPOINT is not set: sidecars "
            "send the pods' tokens to AWS's STS, and the store does not know its credentials."
        ),
        "Set PODROLE_STS_ENDPOINT to the store's STS.",
    )
    NO_RISKY_SETTING = (Level.OK, "No setting weakens the protection of the node's role.")
    SETTINGS_NOT_READ = (Level.UNKNOWN, "These sources of the webhook's settings could not be read: {gaps}.")
    TEMPLATE_NOT_READ = (
        Level.UNKNOWN,
        "The webhook uses its own template ({path}), which could not be read. The default template was used instead.",
    )
    NODE_CREDENTIAL_SOURCE = (
        Level.WARNING,
        (
            "PODROLE_CREDENTIAL_SOURCE=node is unsafe: any container that runs as the sidecar's user can get the "
            "node's role."
        ),
        "Use web-identity.",
    )
    OVERRIDES_ALLOWED = (
        Level.WARNING,
        "PODROLE_ALLOW_OVERRIDES is {value}: users who create pods can disable the protection of the node's role.",
        "Unset it, unless all users who create pods may have the node's role.",
    )
    PODS_WITHOUT_ROLE_IGNORED = (
        Level.WARNING,
        "PODROLE_PODS_WITHOUT_ROLE is ignore: pods without a role can get the node's role.",
        "Set it to block once the cluster is migrated.",
    )
    ENV_MODE_EVERYWHERE = (
        Level.WARNING,
        "PODROLE_MODE is env: no pod is kept from the node's role, even where PodSecurity allows the redirect.",
        "Set it to auto.",
    )
    ENV_MODE_WHERE_CLOSED = (
        Level.NOTE,
        (
            "PODROLE_MODE is env: no pod is kept from the node's role. Pods with a role do not start where the node's "
            "metadata service answers them (PODROLE_REQUIRE_CLOSED_METADATA); pods without a role are not changed."
        ),
        "Set it to auto.",
    )
    NODE_ACCESS_ALLOWED = (
        Level.WARNING,
        (
            "PODROLE_NODE_ACCESS_REQUIRES_USERS is false: with the source node or metadata pass-through, any container "
            "that can become the sidecar's user gets the node's role: an image of that user, a setuid file, or root."
        ),
        "Set it to true, and a user in every container of such pods.",
    )
    IMAGE_WITHOUT_VERSION = (
        Level.WARNING,
        "The sidecar image {image} has no fixed tag, so pods may run different versions of it.",
        "Pin it by digest: podrole-sidecar@sha256:...",
    )
    IMAGE_WITHOUT_DIGEST = (
        Level.NOTE,
        "The sidecar image {image} is not pinned by digest: users who can push this tag can change every pod.",
        "Pin it by digest: podrole-sidecar@sha256:...",
    )
    PLAIN_HTTP = (
        Level.WARNING,
        "{variable} is {value}: tokens and credentials are sent unencrypted.",
        "Use https.",
    )
    SETTING_IN_FORCE = (Level.NOTE, "{variable} is {value} ({source}).")
    OWN_SETTING_IN_FORCE = (
        Level.NOTE,
        "{variable} is {value} for this command ({source}). In the webhook it is {installed}.",
    )
