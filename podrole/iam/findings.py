"""The findings about a trust policy or an OIDC provider: level, sentence, remedy. `podrole.iam.check` produces them."""

from podrole.findings import FindingTemplate, Level


class TrustFinding(FindingTemplate):
    """A problem denies the role to pods, or gives it to principals that should not have it."""

    # The whole policy
    SUBJECT_ALLOWED = (Level.OK, "{subject} can assume the role.")
    SUBJECT_NOT_ALLOWED = (
        Level.PROBLEM,
        "{subject} cannot assume the role: no statement allows it to use a web identity.",
        "podrole trust-policy ROLE --namespace {namespace} --service-account {account} --merge FILE",
    )
    NO_WEB_IDENTITY_STATEMENT = (
        Level.PROBLEM,
        (
            "No statement allows tokens of an OIDC provider to assume the role. Pods can get it only through another "
            "role, if at all."
        ),
        "podrole trust-policy ROLE --namespace NAME --service-account NAME --merge FILE",
    )
    ISSUER_NOT_COMPARED = (
        Level.NOTE,
        "The provider was not compared with the cluster's issuer.",
        "Set the issuer with --issuer, or read it from the cluster with --cluster.",
    )
    POLICY_EXCEEDS_DEFAULT_QUOTA = (
        Level.WARNING,
        "The policy has {length} characters without white space; the default quota is {quota}.",
        "Request a higher quota ({maximum} at most), or allow whole namespaces with --service-account '*'.",
    )
    POLICY_EXCEEDS_MAXIMUM = (
        Level.PROBLEM,
        "The policy has {length} characters without white space; IAM accepts {maximum} at most.",
        "Allow whole namespaces with --service-account '*', or use more than one role.",
    )

    # A statement: its provider and action
    PROVIDER_ARN_INVALID = (
        Level.PROBLEM,
        "{where} contains {value}, which is not a valid ARN of an OIDC provider.",
        "Use arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH.",
    )
    PROVIDER_ARN_WITH_SCHEME = (
        Level.PROBLEM,
        "{where} contains {value}: the ARN of an OIDC provider does not contain https://.",
        "Use {expected}.",
    )
    ISSUER_MISMATCH = (
        Level.PROBLEM,
        "{where} trusts {issuer}, but the cluster's issuer is {expected}.",
        "If the statement is for this cluster, use {expected} in the provider's ARN and in the condition keys.",
    )
    PROVIDER_ACCOUNT_MISMATCH = (
        Level.PROBLEM,
        "{where} trusts a provider of account {account}, but the role is in {expected}. Both must be in one account.",
        "Create the OIDC provider in account {expected}, and use its ARN.",
    )
    PROVIDER_PARTITION_MISMATCH = (
        Level.PROBLEM,
        "{where} trusts a provider in partition {partition}, but the role is in {expected}.",
        "Use arn:{expected}:iam::...",
    )
    WRONG_ACTION = (
        Level.PROBLEM,
        "{where} allows {actions} to an OIDC provider, but tokens require sts:AssumeRoleWithWebIdentity.",
        'Set "Action": "sts:AssumeRoleWithWebIdentity".',
    )

    # A statement: its conditions
    CONDITION_KEY_NOT_IN_REQUEST = (
        Level.PROBLEM,
        "{where} has a condition on {key}, which is not in the request, so the statement never applies.",
        "Use {expected}.",
    )
    WEAK_OPERATOR = (
        Level.PROBLEM,
        "{where} uses {operator} on {key}: it is also true if the key is missing, or for all but a few values.",
        "Use StringEquals.",
    )
    EXTERNAL_ID_REQUIRED = (
        Level.PROBLEM,
        "{where} requires sts:ExternalId, which is not in a web identity request, so the statement never applies.",
        "Remove that condition, or let another role assume this one (podrole.io/intermediate-role).",
    )
    CONDITIONS_NOT_CHECKED = (Level.NOTE, "{where} has other conditions, which were not checked: {keys}.")
    AUDIENCE_MISSING = (
        Level.WARNING,
        "{where} has no condition on the audience: tokens for other audiences are accepted, too.",
        'Add "{issuer}:aud": "{expected}" to StringEquals.',
    )
    WRONG_AUDIENCE = (
        Level.PROBLEM,
        "{where} requires the audience {value}, but the pods' tokens are for {expected}.",
        (
            'Use "{issuer}:aud": "{expected}", or annotate the ServiceAccount with eks.amazonaws.com/audience; '
            "--audience names another default one (PODROLE_AUDIENCE)."
        ),
    )
    SUBJECT_MISSING = (
        Level.PROBLEM,
        "{where} has no condition on the subject: every pod of every namespace can assume the role.",
        'Add "{issuer}:sub": "system:serviceaccount:NAMESPACE:NAME" to StringEquals.',
    )
    SUBJECT_INVALID = (
        Level.PROBLEM,
        "{where} requires the subject {value}, which is not a valid subject of a Kubernetes token.",
        "Use system:serviceaccount:NAMESPACE:NAME.",
    )
    SUBJECT_OF_ANY_NAMESPACE = (
        Level.PROBLEM,
        (
            "{where} allows {value}, which matches ServiceAccounts of several namespaces: users who can create pods in "
            "any of them can get the role."
        ),
        "Name the namespace.",
    )
    SUBJECT_WILDCARD = (Level.NOTE, "{where} allows {value}: every matching ServiceAccount, including future ones.")
    LITERAL_WILDCARD = (
        Level.PROBLEM,
        "{where} compares {value} with StringEquals, which takes * and ? literally: it matches no ServiceAccount.",
        "Name the ServiceAccount, or use StringLike.",
    )

    # A statement: its effect and other principals
    DENY_STATEMENT = (
        Level.WARNING,
        "{where} denies {actions}: matching principals cannot assume the role, even if another statement allows it.",
        "Make sure that it does not match your pods.",
    )
    INVERTED_ELEMENT = (
        Level.WARNING,
        "{where} uses {key}, which matches everything except what it lists.",
        "List the intended principals or actions instead.",
    )
    ANY_PRINCIPAL = (
        Level.PROBLEM,
        "{where} allows every principal of every AWS account to assume the role, without a condition.",
        "List the intended principals.",
    )
    ROLE_PRINCIPAL = (
        Level.NOTE,
        "{where} allows the role {value} to assume this one. kube2iam and Kiam need that for the nodes' role.",
        "If it is the nodes' role, remove it once no pod needs it: until then every node can assume this role.",
    )
    ACCOUNT_PRINCIPAL = (
        Level.NOTE,
        "{where} allows every principal of account {value} to assume the role that a policy there permits.",
    )
    EC2_PRINCIPAL = (
        Level.NOTE,
        "{where} allows EC2 instances to use the role.",
        "Remove it unless an instance profile uses the role.",
    )
    POD_IDENTITY_PRINCIPAL = (
        Level.NOTE,
        (
            "{where} is for EKS Pod Identity: it allows pods.eks.amazonaws.com to use the role, and not the pods' own "
            "tokens, with which podrole assumes it."
        ),
        (
            "Keep it while pods use Pod Identity, and add a statement for their tokens: podrole trust-policy ROLE "
            "--namespace NAME --service-account NAME --merge FILE"
        ),
    )
    SERVICE_PRINCIPAL = (Level.NOTE, "{where} allows the AWS service {value} to use the role. Pods do not need it.")
    DELETED_PRINCIPAL = (
        Level.WARNING,
        "{where} contains {value}, the id of a deleted user or role.",
        "Remove it.",
    )

    # The cluster's issuer and its annotations
    ISSUER_NOT_HTTPS = (
        Level.WARNING,
        "The issuer {issuer} is not an https:// URL, which IAM requires.",
        "Change the API server's --service-account-issuer.",
    )
    ISSUER_NOT_PUBLIC = (
        Level.WARNING,
        "The issuer {issuer} is reachable only inside the cluster, but AWS must fetch its keys.",
        "Publish the discovery documents, and change the API server's --service-account-issuer.",
    )
    ISSUER_HAS_PORT = (
        Level.WARNING,
        "The issuer {issuer} has a port number, which IAM does not accept in the URL of a provider.",
        "Change the API server's --service-account-issuer.",
    )
    ISSUER_HAS_QUERY = (
        Level.WARNING,
        "The issuer {issuer} has a query or a fragment, which OpenID Connect does not allow.",
        "Change the API server's --service-account-issuer.",
    )
    ISSUER_ENDS_WITH_SLASH = (
        Level.NOTE,
        "The issuer {issuer} ends with a slash: the URL of the provider must have it, too.",
    )

    # An OIDC provider, as aws iam get-open-id-connect-provider prints it
    PROVIDER_AUDIENCE_MISSING = (
        Level.PROBLEM,
        "The OIDC provider's client ids are {value}: tokens for {audience} are rejected.",
        (
            "aws iam add-client-id-to-open-id-connect-provider --client-id {word} ... Or let tokens be for one of "
            "these: PODROLE_AUDIENCE, or eks.amazonaws.com/audience on the ServiceAccount."
        ),
    )
    PROVIDER_AUDIENCE_PRESENT = (Level.OK, "The OIDC provider accepts tokens for {audience}.")
    PROVIDER_ISSUER_MISMATCH = (
        Level.PROBLEM,
        "The OIDC provider is for {issuer}, but the cluster's issuer is {expected}.",
        "aws iam create-open-id-connect-provider --url {url} --client-id-list {clients}",
    )
    PROVIDER_THUMBPRINT = (
        Level.NOTE,
        (
            "The OIDC provider has a thumbprint. AWS uses it only if the issuer's certificate is not signed by a "
            "public CA."
        ),
    )
