"""All reasons for a decision: code, sentence, remedy. Warnings, denials, the status annotation and logs use them."""

from collections.abc import Mapping
from enum import unique
from typing import NamedTuple

from injector.errors import InjectorError
from injector.messages import MessageTable


class Explanation(NamedTuple):
    """A reason with the values of one pod."""

    reason: "Reason"
    values: Mapping[str, str]

    @property
    def text(self) -> str:
        """Sentence and remedy. They are built only if somebody reads them."""
        return " ".join(self.reason.fill(self.values)).strip()


@unique
class Reason(MessageTable):
    """Why the webhook treated a pod as it did."""

    # Inject, Block
    ROLE_FROM_POD = ("An annotation of the pod sets its role.",)
    ROLE_FROM_SERVICE_ACCOUNT = ("An annotation of the pod's ServiceAccount sets its role.",)
    ROLE_FROM_NAMESPACE = ("An annotation of the namespace sets the default role.",)
    NO_ROLE = (
        "No role is configured for this pod: it gets no credentials, and requests to the metadata addresses fail.",
        "Annotate the pod or its ServiceAccount with iam.amazonaws.com/role.",
    )

    # Skip
    NOT_A_POD_CREATION = ("The request does not create a pod.",)
    MIRROR_POD = ("The pod is the mirror of a static pod that already runs on its node.",)
    NAMESPACE_NOT_LABELLED = ("The namespace does not have the label podrole.io/injection: enabled.",)
    PODS_WITHOUT_ROLE_IGNORED = (
        "No role is configured for this pod, and PODROLE_PODS_WITHOUT_ROLE=ignore leaves such pods unchanged.",
    )
    NO_ROLE_UNPROTECTED = (
        "No role is configured for this pod, and podrole cannot block its access to the node's role ({why}).",
        "Set a role (iam.amazonaws.com/role), or set HttpTokens=required and HttpPutResponseHopLimit=1 on the nodes.",
    )
    NO_ROLE_ON_FARGATE = (
        "No role is configured for this pod: it gets no credentials, as 169.254.169.254 does not answer on Fargate.",
        "Annotate the pod or its ServiceAccount with iam.amazonaws.com/role.",
    )
    OPTED_OUT = (
        "The pod has the label podrole.io/inject: false: it is unchanged and not kept from the node's role.",
        "Remove the label if the pod must not have the node's role.",
    )
    HOST_NETWORK = (
        "The pod uses the node's network (spec.hostNetwork): it is unchanged and can get the node's role.",
        "Remove spec.hostNetwork if the pod must not have the node's role.",
    )
    WINDOWS = (
        "The pod runs on Windows: it is unchanged and can get the node's role.",
        "Block the metadata addresses on Windows nodes by other means.",
    )

    # Deny
    HOST_NETWORK_WITH_ROLE = (
        "The pod sets a role, but it uses the node's network (spec.hostNetwork), which podrole cannot redirect.",
        "Remove spec.hostNetwork or the annotation iam.amazonaws.com/role.",
    )
    WINDOWS_WITH_ROLE = (
        "The pod sets a role, but it runs on Windows, where podrole cannot redirect metadata requests.",
        "Remove the annotation iam.amazonaws.com/role or run the pod on Linux.",
    )
    NAMESPACE_NOT_FOUND = (
        'Namespace "{namespace}" does not exist, so the roles that its pods can use are unknown.',
        "Create the namespace, then create the pod again.",
    )
    SERVICE_ACCOUNT_NOT_FOUND = (
        'The pod\'s ServiceAccount "{account}" does not exist in namespace "{namespace}", so its role is unknown.',
        "Create the ServiceAccount if it is missing, then create the pod again.",
    )
    INVALID_ROLE = (
        '{where} is "{value}", which is not a valid role: {problem}.',
        "Use a role's name, path/name or ARN.",
    )
    WRONG_PARTITION = (
        '{where} is "{value}", a role in partition {partition}, but region {region} is in partition {expected}.',
        "Use a role in partition {expected}.",
    )
    ACCOUNT_NOT_CONFIGURED = (
        '{where} is "{value}", a name without an account, and podrole has no default account.',
        "Use the role's ARN, or ask the operator to set PODROLE_ACCOUNT_ID or PODROLE_BASE_ROLE_ARN.",
    )
    VALUE_TOO_LARGE = ("{where} has more than {maximum} bytes.", "Make it shorter.")
    INVALID_VALUE = ('{where} is "{value}", which is not valid.', "It must be {expected}.")
    INVALID_SESSION_TAGS = ("{where} has invalid session tags: {problem}.", "Use key=value,key=value.")
    INVALID_SIDECAR_RESOURCES = (
        "{where} is not valid: {problem}.",
        "Use a list such as requests.cpu=10m,limits.memory=128Mi.",
    )
    INTERMEDIATE_ROLE_REQUIRED = (
        "{where} cannot be used with web identity credentials.",
        "Remove it, or have podrole.io/intermediate-role added to the namespace.",
    )
    OVERRIDE_NOT_ALLOWED = (
        '{where} is "{value}", which weakens the protection of the node\'s role, and the operator does not allow it.',
        "Remove it, or ask the operator to allow it in PODROLE_ALLOW_OVERRIDES.",
    )
    ROLE_NOT_ALLOWED = (
        "The namespace does not allow the role {role}: its annotation {key} is {patterns} ({rule}).",
        "Use an allowed role, or ask for this role to be added to the annotation.",
    )
    INVALID_ALLOW_LIST = (
        'Annotation {key} of the namespace is "{value}", which is not valid and allows no role: {problem}.',
        "It must be {expected}.",
    )
    SESSION_DURATION_TOO_LONG = (
        '{where} is "{value}", but role chaining limits sessions to one hour: {by} assumes the pod\'s role.',
        "Use 3600 or less.",
    )
    ALLOW_LIST_REQUIRED = (
        "With PODROLE_CREDENTIAL_SOURCE=node, the namespace must list the roles that its pods may have.",
        "Annotate the namespace with iam.amazonaws.com/allowed-roles.",
    )
    RESERVED_USER = (
        "{where} is {value}, the sidecar's user and group: the container could read the sidecar's memory and files.",
        "Use another id.",
    )
    NODE_ACCESS = (
        'Container "{container}" could become user 16925, who can reach the node\'s metadata service: {problem}.',
        "Set runAsUser and allowPrivilegeEscalation: false in its securityContext, and for root drop SETUID.",
    )
    KUBERNETES_TOO_OLD = (
        "podrole needs native sidecars (Kubernetes 1.29 or later), and this API server is {version}.",
        "Upgrade the cluster.",
    )
    NATIVE_SIDECARS_UNCONFIRMED = (
        "podrole needs native sidecars (kubelet 1.29 or later), and with API server {version} a kubelet can be older.",
        "Ask the operator to set PODROLE_NATIVE_SIDECARS_CONFIRMED=true when all kubelets are 1.29 or later.",
    )
    OBJECT_TOO_LARGE = ("{problem}.", "Remove labels, annotations or finalizers that it does not need.")
    POD_TOO_LARGE = (
        "The pod has so many or so long values that it can take {size} bytes of memory; the maximum is {maximum}.",
        "Remove values, or make them shorter.",
    )
    TOO_MANY_CONTAINERS = ("The pod has {count} containers, which is more than {maximum} containers.", "Remove some.")
    TOO_MANY_RESERVED_NAMES = (
        "The pod has {count} containers, volumes and mounts whose names start with podrole-; the maximum is {maximum}.",
        "Rename them: these names are reserved.",
    )
    ONLY_RESERVED_CONTAINERS = (
        "podrole removes containers whose names start with podrole-, and the pod has no others: {containers}.",
        "Rename them: these names are reserved.",
    )
    RESERVED_BLOCK_DEVICE = (
        'Container "{container}" uses the volume "{volume}" as a block device: podrole removes this volume.',
        "Rename the volume: names that start with podrole- are reserved.",
    )
    NO_PROXY_TOO_LONG = (
        "The variables NO_PROXY and no_proxy of the pod have {size} characters together; the maximum is {maximum}.",
        "Make them shorter.",
    )
    CLUSTER_READ_FAILED = ("{problem}.", "Create the pod again; the injector's log has the details.")
    INTERNAL_ERROR = (
        "podrole failed to decide about this pod, so the pod is denied.",
        "See the injector's log for request {uid}.",
    )

    # Warnings of an injection
    NODE_CREDENTIAL_SOURCE = (
        "PODROLE_CREDENTIAL_SOURCE=node is unsafe: any container that runs as user 16925 can get the node's role.",
        "Run no container as root, and ask the operator to use web-identity.",
    )
    NODE_SOURCE_ON_FARGATE = (
        "With PODROLE_CREDENTIAL_SOURCE=node the pod gets no credentials: 169.254.169.254 does not answer on Fargate.",
        "Ask the operator to use web-identity.",
    )
    METADATA_PASSTHROUGH = (
        "The sidecar can reach the node's metadata service: root can become user 16925 and get the node's role.",
        "Remove podrole.io/metadata-passthrough if the pod does not need it.",
    )
    UNKNOWN_ANNOTATION = ("{where} has no effect: podrole does not know it.", "{remedy}")
    KEY_WITHOUT_EFFECT = ("{where} has no effect.", "{remedy}")
    ENV_MODE = (
        "Credentials come only through environment variables ({why}): 169.254.169.254 still gives the node's role.",
        "Set HttpTokens=required and HttpPutResponseHopLimit=1 on the nodes.",
    )
    ENV_MODE_ON_FARGATE = (
        "Credentials come only through environment variables ({why}): 169.254.169.254 does not answer on Fargate.",
    )
    SANDBOX = (
        "RuntimeClass {name} may ignore the redirect: then pods with a role do not start, and others get the node's.",
        "Ask the operator for podrole preflight --probe: PODROLE_ENV_RUNTIME_CLASSES must name it if that fails.",
    )
    PRIVILEGED_CONTAINER = (
        'Container "{container}" {power}: it can remove the redirect and get the node\'s role.',
        "Remove this privilege unless you trust the container.",
    )
    CREDENTIALS_OVERRIDDEN = (
        'Container "{container}" sets {variable}, which podrole did not change: AWS SDKs prefer it to the pod\'s role.',
        "Remove the variable to use the role.",
    )
    SHARED_CONFIG_SET = (
        'Container "{container}" sets {variable}, which podrole did not change: {consequence}.',
        "Remove the variable to use the role.",
    )
    SHARED_CONFIG_MOUNTED = (
        'Container "{container}" mounts {volume} at {path}: AWS SDKs prefer credentials there to the pod\'s role.',
        "Remove the mount to use the role.",
    )
    POD_UID_OVERRIDDEN = (
        'Container "{container}" sets PODROLE_POD_UID {problem}: it cannot use the path of the container credentials.',
        "Remove the variable: podrole adds it at the front of env.",
    )
    REGION_NOT_SET = (
        'Container "{container}" uses envFrom, which can set a region, so podrole did not add one.',
        "Set AWS_REGION in env if envFrom does not.",
    )
    NO_PROXY_NOT_EXTENDED = (
        'Container "{container}" sets {variable} by valueFrom, so podrole could not extend it.',
        "If the container uses a proxy, make sure that it contains {addresses}.",
    )
    NO_PROXY_NOT_REPLACED = (
        'Container "{container}" uses envFrom, which can set {variable}, so podrole did not add it beside {twin}.',
        "If envFrom sets a proxy and {variable}, make sure that {variable} contains {addresses}.",
    )
    RESERVED_NAME = (
        'The {kind} "{name}" was removed: names that start with podrole- are reserved.',
        "Rename it.",
    )
    RESERVED_MOUNT = (
        'Container "{container}" lost its mount of volume "{volume}": names that start with podrole- are reserved.',
        "Remove the mount, or rename a volume of your own.",
    )

    # Instead of further explanations
    MORE = ("And {count} more.",)

    def explain(self, **values: str) -> Explanation:
        """Explain the reason for one pod."""
        return Explanation(self, values)


class ExplainedError(InjectorError):
    """An error whose explanation the denial repeats."""

    def __init__(self, explanation: Explanation) -> None:
        super().__init__(explanation.text)
        self.explanation = explanation


class TooLargePodError(ExplainedError):
    """The pod is larger than what podrole processes."""


class InvalidRoleError(ExplainedError):
    """A role that a user wrote is not valid."""
