"""The findings about the accounts that use roles: level, sentence, remedy. `podrole.iam.admission` produces them."""

from podrole.findings import FindingTemplate, Level


class UsageFinding(FindingTemplate):
    """Who is left out of the trust policies, and who is in them only because of an annotation of their own."""

    SUBJECT_DENIED = (
        Level.PROBLEM,
        "{subject} is left out, because the webhook denies its role to {owner}: {reason}",
    )
    DENIED_SUBJECT_TRUSTED = (
        Level.WARNING,
        "The policy trusts {subject}, although the webhook denies this role to it.",
        "Remove it from the policy.",
    )
    SUBJECT_UNLABELLED = (
        Level.NOTE,
        "{subject} is left out: namespace {namespace} lacks the label podrole.io/injection: enabled{instead}.",
        "--include-unlabelled adds the accounts of such namespaces, for a migration.",
    )
    SUBJECT_SKIPPED = (Level.NOTE, "{subject} is left out for {owner}, which the webhook leaves unchanged: {reason}")
    SELF_CLAIMED = (
        Level.WARNING,
        (
            "{subject} claims {role}: namespace {namespace} has no allow-list, or one that allows every role, so "
            "anybody who can annotate a ServiceAccount or create a pod there can claim this role."
        ),
        "Check who has that permission, and annotate the namespace with iam.amazonaws.com/allowed-roles.",
    )
    ALLOW_LIST_MISSING = (
        Level.NOTE,
        (
            "{subject} is left out: it claims {role}, and namespace {namespace} has no allow-list, or one that allows "
            "every role."
        ),
        "Annotate the namespace with iam.amazonaws.com/allowed-roles.",
    )
    NAMESPACE_UNKNOWN = (
        Level.WARNING,
        "Namespace {namespace} is not among the manifests, so its label and its allow-list were not checked.",
        "Add its manifest.",
    )
    POD_TEMPLATE_UNKNOWN = (
        Level.WARNING,
        "The ServiceAccounts of the pods of {owner} are unknown, so they may be missing. {why}",
        "Name them with --namespace and --service-account.",
    )
    KIND_UNREADABLE = (
        Level.WARNING,
        "Objects of {kind} could not be read ({why}), so ServiceAccounts of their pods may be missing.",
        "Allow yourself to list them, or name the ServiceAccounts with --namespace and --service-account.",
    )
    AUDIENCE_UNKNOWN = (
        Level.WARNING,
        "The audience of the tokens of {subject} could not be read ({why}): {audience} was used.",
        "Name it with --audience.",
    )
    SETTINGS_UNKNOWN = (
        Level.WARNING,
        "Not all settings of the webhook are known ({why}): the default ones were used instead.",
        "Set the account and the region with options. Allow-lists were read as globs if nothing else is known.",
    )
