"""The settings of kube2iam and Kiam, and what corresponds to each in podrole. docs/migration.md has the same table."""

from podrole.diagnosis.agents.arguments import KnownFlags
from podrole.findings import FindingTemplate, Level

KUBE2IAM = "kube2iam"
KIAM = "Kiam"

DEFAULT_ROLE, DISCOVERED_DEFAULT_ROLE = "default-role", "auto-discover-default-role"
"""Flags of kube2iam: pods that name no role get this one, or the node's."""

DEFAULTS = {
    "iam-role-key": "iam.amazonaws.com/role",
    "iam-external-id": "iam.amazonaws.com/external-id",
    "namespace-key": "iam.amazonaws.com/allowed-roles",
    "namespace-restriction-format": "glob",
    "allow-route-regexp": "^$",
    "whitelist-route-regexp": "^$",
    "session": "kiam",
}
"""Where the default needs no finding."""

SWITCHES = {
    "auto-discover-base-arn",
    DISCOVERED_DEFAULT_ROLE,
    "disable-strict-namespace-regexp",
    "iptables",
    "iptables-remove",
    "namespace-restrictions",
    "role-base-arn-autodetect",
    "use-regional-sts-endpoint",
}


class AgentFlag(FindingTemplate):
    """What corresponds to flags with one meaning, and the finding about them."""

    def __init__(self, counterpart: str, level: Level, sentence: str, remedy: str = "") -> None:
        """`counterpart`: in Markdown."""
        super().__init__(level, sentence, remedy)
        self.counterpart = counterpart

    BASE_ROLE_ARN = (
        "`PODROLE_BASE_ROLE_ARN`, with the slash at its end, or `PODROLE_ACCOUNT_ID`",
        Level.NOTE,
        "{agent} has --{flag}={value}: the prefix of roles that are given by name.",
        "Set PODROLE_ACCOUNT_ID to its account, or PODROLE_BASE_ROLE_ARN if it has a path.",
    )
    DISCOVERED_BASE_ROLE_ARN = (
        "`PODROLE_ACCOUNT_ID`: podrole does not ask the node",
        Level.NOTE,
        "{agent} has --{flag}: the node tells it the account of roles that are given by name. podrole does not ask it.",
        "Set PODROLE_ACCOUNT_ID. aws sts get-caller-identity --query Account --output text",
    )
    DEFAULT_ROLE = (
        "`podrole.io/default-role` on each namespace. Allow-lists hold for it as well",
        Level.WARNING,
        "{agent} has --{flag}={value}: pods without a role get this one. In podrole each namespace sets its own.",
        "kubectl annotate namespace NAME podrole.io/default-role={argument}",
    )
    DISCOVERED_DEFAULT_ROLE = (
        "none: no pod gets the node's role",
        Level.WARNING,
        "{agent} has --{flag}: pods without a role get the node's. In podrole no pod gets it.",
        "Give a role to the workloads that need one, on the pod, its ServiceAccount or its namespace.",
    )
    ALLOW_LIST_FORMAT = (
        "`PODROLE_ALLOWED_ROLES_FORMAT`, of the same values. A pattern must match in full",
        Level.NOTE,
        "{agent} has --{flag}={value}. In podrole a pattern of an allow-list must match the whole ARN.",
        "Set PODROLE_ALLOWED_ROLES_FORMAT={argument}",
    )
    ALLOW_LISTS_REQUIRED = (
        (
            "always on, but a namespace without an allow-list admits every role: the role's trust policy decides. "
            "`'[]'` admits none"
        ),
        Level.WARNING,
        (
            "{agent} has --{flag}: it denies every role in namespaces without an allow-list. In podrole such a "
            "namespace admits every role that trusts it."
        ),
        "kubectl annotate namespace NAME iam.amazonaws.com/allowed-roles='[]'",
    )
    NAMESPACE_REGEXP_NOT_STRICT = (
        "none: a pattern must match the whole ARN",
        Level.WARNING,
        "{agent} has --{flag}. In podrole iam.amazonaws.com/permitted must match the whole ARN, such as .*:role/NAME.",
        "Compare the annotations: kubectl get namespaces -o yaml | grep iam.amazonaws.com/permitted",
    )
    KEYS = (
        (
            "none: the keys are fixed. Copy the annotations to `iam.amazonaws.com/role`, "
            "`iam.amazonaws.com/external-id` and `iam.amazonaws.com/allowed-roles`"
        ),
        Level.WARNING,
        "{agent} has --{flag}={value}. podrole does not read this annotation: its keys are fixed.",
        "Copy its values to {default}.",
    )
    SESSION_DURATION = (
        "`podrole.io/session-duration` on a pod, 1800 s at least; renewed at half of it",
        Level.NOTE,
        "{agent} has --{flag}={value}. In podrole credentials last an hour, and are renewed at half of it.",
        "Where a pod needs another time, annotate it: podrole.io/session-duration, 1800 s at least.",
    )
    SESSION_NAME = (
        "none: sessions are named `<namespace>.<pod>`",
        Level.NOTE,
        "{agent} has --{flag}={value}. In podrole sessions are named <namespace>.<pod>.",
        "Look for conditions on the session's name in policies.",
    )
    ASSUMED_FIRST = (
        "`podrole.io/intermediate-role` on the namespace, if roles must go on trusting that role only",
        Level.NOTE,
        "{agent} has --{flag}={value}: this role assumes those of pods. In podrole pods assume their roles themselves.",
        (
            "Add podrole's statement to the roles' trust policies; or kubectl annotate namespace NAME "
            "podrole.io/intermediate-role={argument}"
        ),
    )
    REGION = (
        "`PODROLE_REGION`; always regional. kube2iam has its region in `AWS_REGION`",
        Level.NOTE,
        "{agent} has --{flag}={value}. podrole always uses the regional endpoint of STS.",
        "Set PODROLE_REGION.",
    )
    METADATA_PATHS = (
        (
            "`PODROLE_ALLOW_OVERRIDES=metadata-passthrough`, `podrole.io/metadata-passthrough` on a pod, and "
            "[`PODROLE_METADATA_PASSTHROUGH_PATHS`](sources.md#what-can-be-listed)"
        ),
        Level.WARNING,
        "{agent} has --{flag}={value}: pods read these paths of the node's metadata. In podrole they get 404.",
        (
            "Where a pod needs them: PODROLE_ALLOW_OVERRIDES=metadata-passthrough, PODROLE_METADATA_PASSTHROUGH_PATHS, "
            'and the annotation podrole.io/metadata-passthrough: "true" on the pod.'
        ),
    )
    RULE_ON_NODES = (
        "none: the rules are in the pod's own network. [The agent's own rule](#kube2iam-and-kiam) can outlive it",
        Level.NOTE,
        (
            "{agent} has --iptables and leaves its rule on each node when it is removed: pods without podrole's rules "
            "then get no answer at 169.254.169.254 until the rule is removed."
        ),
        "Remove the rule as docs/migration.md describes, or replace the nodes.",
    )


class AgentFindings(FindingTemplate):
    """What is said about an agent besides its flags."""

    ALLOW_LISTS_IGNORED = (
        Level.NOTE,
        (
            "{agent} does not have --namespace-restrictions, so it ignores iam.amazonaws.com/allowed-roles. podrole "
            "reads this annotation wherever it is."
        ),
        "kubectl get namespaces -o yaml | grep iam.amazonaws.com/allowed-roles",
    )
    PERMISSION_REQUIRED = (
        Level.WARNING,
        (
            "{agent} is Kiam's server: it denies every role in namespaces without iam.amazonaws.com/permitted. In "
            "podrole such a namespace admits every role that trusts it."
        ),
        "kubectl annotate namespace NAME iam.amazonaws.com/allowed-roles='[]'",
    )
    FLAG_VALUE_UNKNOWN = (
        Level.UNKNOWN,
        "{agent} has --{flag}, whose value comes from a variable that cannot be read.",
        "kubectl exec into one of its pods shows it: env, or ps.",
    )


BY_FLAG = {
    "base-role-arn": AgentFlag.BASE_ROLE_ARN,
    "role-base-arn": AgentFlag.BASE_ROLE_ARN,
    "auto-discover-base-arn": AgentFlag.DISCOVERED_BASE_ROLE_ARN,
    "role-base-arn-autodetect": AgentFlag.DISCOVERED_BASE_ROLE_ARN,
    DEFAULT_ROLE: AgentFlag.DEFAULT_ROLE,
    DISCOVERED_DEFAULT_ROLE: AgentFlag.DISCOVERED_DEFAULT_ROLE,
    "namespace-restriction-format": AgentFlag.ALLOW_LIST_FORMAT,
    "namespace-restrictions": AgentFlag.ALLOW_LISTS_REQUIRED,
    "disable-strict-namespace-regexp": AgentFlag.NAMESPACE_REGEXP_NOT_STRICT,
    "iam-role-key": AgentFlag.KEYS,
    "iam-external-id": AgentFlag.KEYS,
    "namespace-key": AgentFlag.KEYS,
    "iam-role-session-ttl": AgentFlag.SESSION_DURATION,
    "session-duration": AgentFlag.SESSION_DURATION,
    "session-refresh": AgentFlag.SESSION_DURATION,
    "session": AgentFlag.SESSION_NAME,
    "assume-role-arn": AgentFlag.ASSUMED_FIRST,
    "region": AgentFlag.REGION,
    "use-regional-sts-endpoint": AgentFlag.REGION,
    "allow-route-regexp": AgentFlag.METADATA_PATHS,
    "whitelist-route-regexp": AgentFlag.METADATA_PATHS,
    "iptables": AgentFlag.RULE_ON_NODES,
    "iptables-remove": AgentFlag.RULE_ON_NODES,
    "host-interface": AgentFlag.RULE_ON_NODES,
    "host-ip": AgentFlag.RULE_ON_NODES,
    "host": AgentFlag.RULE_ON_NODES,
    "node": AgentFlag.RULE_ON_NODES,
    "metadata-addr": AgentFlag.RULE_ON_NODES,
}
"""By name, without dashes."""

KNOWN = KnownFlags({*BY_FLAG} - SWITCHES, SWITCHES)


def list_flags(member: AgentFlag) -> list[str]:
    """The flags with one meaning."""
    return [flag for flag, one in BY_FLAG.items() if one is member]
