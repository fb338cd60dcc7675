"""The findings about the accounts that use roles: level, sentence, remedy. `podrole.iam.admission` produces them."""

from injector.metadata_keys import INJECTION_LABEL
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
    DENIED_SUBJECT_IN_POLICY = (
        Level.WARNING,
        "The existing policy of {role} trusts {subject}, although the webhook denies this role to it.",
        "Remove it from the policy: podrole keeps every statement.",
    )
    UNUSED_SUBJECT_TRUSTED = (
        Level.NOTE,
        "The existing policy of {role} trusts {subject}, but nothing {place} names that role for it.",
        "Remove it from the policy, unless something else uses it.",
    )
    POLICY_NOT_GIVEN = (
        Level.WARNING,
        "--policies has no policy of {role}, so its new one would replace a policy that nobody has compared.{hint}",
        "aws iam get-role --role-name {name} > {name}.json",
    )
    SUBJECT_UNLABELLED = (
        Level.NOTE,
        "{subject} is left out: namespace {namespace} lacks the label podrole.io/injection: enabled{instead}.",
        "--include-unlabelled adds the accounts of such namespaces, for a migration.",
    )
    SUBJECT_LEFT_OUT = (
        Level.NOTE,
        f"{{subject}} is left out: the label {INJECTION_LABEL} of namespace {{namespace}} says so on purpose.",
    )
    SUBJECT_TERMINATING = (
        Level.NOTE,
        "{subject} is left out: namespace {namespace} is being deleted and gets no new pods.",
    )
    SUBJECT_SKIPPED = (Level.NOTE, "{subject} is left out for {owner}, which the webhook leaves unchanged: {reason}")
    SUBJECT_IN_SYSTEM_NAMESPACE = (
        Level.NOTE,
        "{subject} is left out for {owner}: the webhook is never called for pods of namespace {namespace}.",
    )
    SUBJECT_SUSPENDED = (
        Level.NOTE,
        "{subject} is in the policy of {role} only for {owner}, which is suspended: it needs the role once it resumes.",
        "If it is not meant to resume, delete it first.",
    )
    NAMED_UNLABELLED = (
        Level.NOTE,
        (
            "{subject} is in the policy because you named it. Namespace {namespace} lacks the label "
            "podrole.io/injection: enabled{instead}, so its pods do not have the role yet."
        ),
        "kubectl label namespace {namespace} podrole.io/injection=enabled",
    )
    NAMED_NAMESPACE_MISSING = (
        Level.WARNING,
        "Namespace {namespace} does not exist{place}, so it was not checked whether it allows {subject} the role.",
    )
    NAMED_ACCOUNT_MISSING = (
        Level.WARNING,
        "{subject} does not exist{place}: whoever creates a ServiceAccount with that name can use the role.",
        "Check the name.",
    )
    NAMED_TERMINATING = (
        Level.WARNING,
        (
            "Namespace {namespace} is being deleted and gets no new pods: whoever creates a namespace with that name "
            "can use the role as {subject}."
        ),
        "Check the name.",
    )
    NAMED_NOT_CHECKED = (
        Level.WARNING,
        "It was not checked whether the webhook admits {subject}, and the audience {audience} was used: {why}.",
        "Set another audience with --audience.",
    )
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
    SETTINGS_UNKNOWN = (
        Level.WARNING,
        "Not all settings of the webhook are known ({why}): the default ones were used instead.",
        "Set the account and the region with options. Allow-lists were read as globs if nothing else is known.",
    )
