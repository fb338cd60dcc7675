"""The one table of reasons: code, sentence, remedy. Warnings, denials, status and logs all take theirs from here."""

from enum import Enum
from typing import NamedTuple

from injector.errors import InjectorError

LONGEST_VALUE = 200
"""Characters of a user's value that a message repeats: an annotation may have 256 KiB."""


class Explanation(NamedTuple):
    """A reason, told for one pod."""

    reason: "Reason"
    text: str


class Reason(Enum):
    """Why a pod was treated as it was. The first value is the code that machines read; it never changes."""

    # Injected, blocked
    ROLE_OF_POD = ("RoleOfPod", "The pod names its role.", "")
    ROLE_OF_SERVICE_ACCOUNT = ("RoleOfServiceAccount", "The pod's ServiceAccount names its role.", "")
    ROLE_OF_NAMESPACE = ("RoleOfNamespace", "The namespace names the role of pods that name none.", "")
    NO_ROLE = (
        "NoRole",
        "No role is named for this pod: it gets no credentials, and the metadata addresses are closed to it.",
        "Annotate the pod or its ServiceAccount with iam.amazonaws.com/role.",
    )

    # Left untouched
    NOT_A_POD_CREATION = ("NotAPodCreation", "Only the creation of pods is looked at.", "")
    MIRROR_POD = ("MirrorPod", "The pod mirrors a static pod of a node, which already runs.", "")
    NOT_LABELLED = ("NamespaceNotLabelled", "The namespace lacks the label podrole.io/injection: enabled.", "")
    PODS_WITHOUT_ROLE_IGNORED = (
        "PodsWithoutRoleIgnored",
        "No role is named for this pod, and the operator leaves such pods alone.",
        "",
    )
    NO_ROLE_UNPROTECTED = (
        "NoRoleUnprotected",
        "No role is named for this pod, which cannot be blocked ({why}): it is untouched and reaches the node's role.",
        "Name a role (iam.amazonaws.com/role), or limit the hops of the node's metadata service.",
    )
    OPTED_OUT = (
        "OptedOut",
        "The pod has the label podrole.io/inject: false: it was left untouched and reaches the node's own role.",
        "Remove that label if it must not.",
    )
    HOST_NETWORK = (
        "HostNetwork",
        "The pod shares the node's network (spec.hostNetwork): it was left untouched and reaches the node's own role.",
        "Remove spec.hostNetwork if the pod must not have the node's role.",
    )
    WINDOWS = (
        "Windows",
        "The pod runs on Windows: it was left untouched and reaches the node's own role.",
        "Close the metadata addresses on Windows nodes by other means.",
    )

    # Denied
    HOST_NETWORK_WITH_ROLE = (
        "HostNetworkWithRole",
        "The pod asks for a role and shares the node's network (spec.hostNetwork), which cannot be redirected.",
        "Remove spec.hostNetwork or the annotation iam.amazonaws.com/role.",
    )
    WINDOWS_WITH_ROLE = (
        "WindowsWithRole",
        "The pod asks for a role and runs on Windows, where there is no redirect.",
        "Remove the annotation iam.amazonaws.com/role or run the pod on Linux.",
    )
    NAMESPACE_MISSING = (
        "NamespaceMissing",
        'There is no namespace "{namespace}", so nobody knows which roles its pods may have.',
        "Create it, then create the pod again.",
    )
    BAD_ROLE = (
        "BadRole",
        '{where} is "{value}", which is no role: {problem}.',
        "Write a role's name, path/name, or ARN.",
    )
    OTHER_PARTITION = (
        "OtherPartition",
        '{where} is "{value}", a role of partition {partition}, but region {region} is in partition {expected}.',
        "Name a role of partition {expected}.",
    )
    ACCOUNT_UNKNOWN = (
        "AccountUnknown",
        '{where} is "{value}", a name without an account, and podrole is configured with none.',
        "Write the whole ARN, or have the operator set PODROLE_ACCOUNT_ID or PODROLE_BASE_ROLE_ARN.",
    )
    BAD_VALUE = ("BadValue", '{where} is "{value}".', "It must be {meaning}.")
    BAD_TAGS = ("BadTags", "{where} holds no session tags that STS takes: {problem}.", "Write key=value,key=value.")
    NEEDS_INTERMEDIATE_ROLE = (
        "NeedsIntermediateRole",
        "{where} has no place in a web identity.",
        "It needs podrole.io/intermediate-role on the namespace: remove it, or have that added.",
    )
    OVERRIDE_NOT_ALLOWED = (
        "OverrideNotAllowed",
        '{where} is "{value}", an override that would open the wall around the node\'s role: not allowed here.',
        "Remove it, or have the operator allow that override.",
    )
    ROLE_NOT_ALLOWED = (
        "RoleNotAllowed",
        "The namespace does not allow the role {role}: its annotation {key} is {patterns} ({rule}).",
        "Name a role that it allows, or have the annotation extended.",
    )
    BAD_ALLOW_LIST = (
        "BadAllowList",
        'Annotation {key} of the namespace is "{value}", which cannot be read and so allows nothing: {problem}.',
        "Make it {meaning}.",
    )
    CHAINED_TOO_LONG = (
        "ChainedTooLong",
        '{where} is "{value}", but the pod\'s role is assumed by another role ({by}), which AWS limits to one hour.',
        "Make it 3600 or less.",
    )
    ALLOW_LIST_MISSING = (
        "AllowListMissing",
        "The node's own role assumes the roles of pods here, and the namespace does not say which: none is allowed.",
        "Annotate the namespace with iam.amazonaws.com/allowed-roles.",
    )
    SIDECAR_USER = (
        "SidecarUser",
        "{where} is {value}, the sidecar's user and group: it could read the sidecar's memory and files.",
        "Choose another id.",
    )
    KUBERNETES_TOO_OLD = (
        "KubernetesTooOld",
        "The sidecar must be a native one, which Kubernetes has from 1.29 on, and this is {version}.",
        "Upgrade the cluster.",
    )
    NATIVE_SIDECARS_UNCONFIRMED = (
        "NativeSidecarsUnconfirmed",
        "Native sidecars need kubelets of 1.29, and beside an API server of {version} a kubelet may be older.",
        "Have the operator set PODROLE_NATIVE_SIDECARS_CONFIRMED=true once none is.",
    )
    CLUSTER_UNREADABLE = (
        "ClusterUnreadable",
        "{problem}.",
        "Create the pod again; the injector's log has the details.",
    )
    INTERNAL_ERROR = (
        "InternalError",
        "podrole failed to decide on this pod, so it is not admitted.",
        "The injector's log tells why, under request {uid}.",
    )

    # Warnings beside an injection
    NODE_SOURCE = (
        "NodeSource",
        "PODROLE_CREDENTIAL_SOURCE=node is unsafe: any container that runs as user 16925 gets the node's role.",
        "Run no container as root, and have the operator use web identities.",
    )
    METADATA_PASSTHROUGH = (
        "MetadataPassthrough",
        "Its sidecar may ask the node's metadata service: who becomes user 16925, as root can, has the node's role.",
        "Remove podrole.io/metadata-passthrough if the pod does not need it.",
    )
    UNKNOWN_KEY = ("UnknownKey", "Annotation {key} is nothing that podrole reads on a pod.", "{remedy}")
    ENV_MODE = (
        "EnvMode",
        "Its role comes by environment alone ({why}), which is no wall: 169.254.169.254 still has the node's role.",
        "Limit the hops of the node's metadata service.",
    )
    POWERFUL_CONTAINER = (
        "PowerfulContainer",
        'Container "{container}" {power}: it can undo the redirect and reach the node\'s role.',
        "Take that away if the container is not to be trusted with it.",
    )
    SHADOWED = (
        "Shadowed",
        'Container "{container}" sets {variable}, which was kept: SDKs prefer it to the pod\'s role.',
        "Remove it to use the role.",
    )
    REGION_LEFT_OUT = (
        "RegionLeftOut",
        'Container "{container}" takes variables from elsewhere (envFrom), so no region was added beside it.',
        "Set AWS_REGION in env if it is not among them.",
    )
    NO_PROXY_UNKNOWN = (
        "NoProxyUnknown",
        'Container "{container}" uses a proxy and takes {variable} from elsewhere, so it could not be extended.',
        "Make sure that it contains {addresses}.",
    )
    RESERVED_NAME = (
        "ReservedName",
        'The {kind} "{name}" was removed: names that start with podrole- are reserved.',
        "Rename it.",
    )

    def __init__(self, code: str, sentence: str, remedy: str) -> None:
        self.code = code
        self._text = f"{sentence} {remedy}".strip()

    def explain(self, **values: str) -> Explanation:
        """Fill the sentence for one pod. Values are what users wrote: cut where they are too long for a message."""
        cut = {
            name: value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}..."
            for name, value in values.items()
        }
        return Explanation(self, self._text.format_map(cut))


class RefusedError(InjectorError):
    """A value that a user wrote cannot be accepted; its explanation becomes part of the denial."""

    def __init__(self, explanation: Explanation) -> None:
        super().__init__(explanation.text)
        self.explanation = explanation
