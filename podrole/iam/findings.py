"""The table of what can be wrong with a trust policy or an OIDC provider: level, sentence, remedy."""

from podrole.findings import FindingTemplate, Level


class TrustFinding(FindingTemplate):
    """See `podrole.iam.check` for when each is told. A problem keeps pods out, or lets others in."""

    ALLOWED = (Level.OK, "{subject} can assume the role.")
    NOT_ALLOWED = (
        Level.PROBLEM,
        "{subject} cannot assume the role: no statement allows it by web identity.",
        "podrole trust-policy ROLE --namespace {namespace} --service-account {account} --merge FILE",
    )
    NO_WEB_IDENTITY = (
        Level.PROBLEM,
        "No statement lets an OIDC provider's tokens assume the role: a pod can only through another role, if at all.",
        "podrole trust-policy ROLE --namespace NAME --service-account NAME --merge FILE",
    )
    OTHER_ISSUER = (
        Level.PROBLEM,
        "{where} trusts {issuer}, but the cluster's issuer is {expected}.",
        "Make the provider's ARN and the condition keys say {expected}, if the statement is for this cluster.",
    )
    ISSUER_UNKNOWN = (
        Level.NOTE,
        "Whether the provider is that of your cluster was not compared.",
        "Give the issuer with --issuer, or ask the cluster with --cluster.",
    )
    SCHEME_IN_ISSUER = (
        Level.PROBLEM,
        "{where} has {value}: IAM names a provider without https://, so this is none.",
        "Write {expected}.",
    )
    BAD_PROVIDER = (
        Level.PROBLEM,
        "{where} names {value}, which is no ARN of an OIDC provider.",
        "Write arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH.",
    )
    OTHER_ACCOUNT = (
        Level.PROBLEM,
        "{where} names a provider of account {account}, but the role is in {expected}: a provider is for its account.",
        "Create the OIDC provider in account {expected}, and name that one.",
    )
    OTHER_PARTITION = (
        Level.PROBLEM,
        "{where} names a provider of partition {partition}, but the role is in {expected}.",
        "Write arn:{expected}:iam::...",
    )
    WRONG_ACTION = (
        Level.PROBLEM,
        "{where} allows {actions} to an OIDC provider, and a token is used with sts:AssumeRoleWithWebIdentity.",
        'Make it "Action": "sts:AssumeRoleWithWebIdentity".',
    )
    DEAD_KEY = (
        Level.PROBLEM,
        "{where} has a condition on {key}, which is not in the request, so the statement allows nobody.",
        "Write {expected}.",
    )
    AUDIENCE_MISSING = (
        Level.WARNING,
        "{where} does not ask for an audience: tokens that were made for somebody else are taken, too.",
        'Add "{issuer}:aud": "sts.amazonaws.com" to StringEquals.',
    )
    WRONG_AUDIENCE = (
        Level.PROBLEM,
        "{where} asks for the audience {value}, and the pods' tokens are for sts.amazonaws.com.",
        'Write "{issuer}:aud": "sts.amazonaws.com".',
    )
    SUBJECT_MISSING = (
        Level.PROBLEM,
        "{where} does not say which ServiceAccounts it is for: every pod of every namespace can assume the role.",
        'Add "{issuer}:sub": "system:serviceaccount:NAMESPACE:NAME" to StringEquals.',
    )
    ANY_SUBJECT = (
        Level.PROBLEM,
        "{where} allows {value}: ServiceAccounts of any namespace, so whoever may create a pod somewhere has the role.",
        "Name the namespace.",
    )
    ANY_ACCOUNT = (Level.NOTE, "{where} allows {value}: every ServiceAccount that this fits, also later ones.")
    LITERAL_WILDCARD = (
        Level.PROBLEM,
        "{where} compares {value} with StringEquals, which takes * and ? as they are: it fits no ServiceAccount.",
        "Name the ServiceAccount, or use StringLike.",
    )
    BAD_SUBJECT = (
        Level.PROBLEM,
        "{where} has the subject {value}, and no token of Kubernetes has such a one.",
        "Write system:serviceaccount:NAMESPACE:NAME.",
    )
    WEAK_OPERATOR = (
        Level.PROBLEM,
        "{where} uses {operator} on {key}: it is also true where the key is not there, or for all but a few.",
        "Use StringEquals.",
    )
    EXTERNAL_ID = (
        Level.PROBLEM,
        "{where} asks for sts:ExternalId, which a web identity has not, so the statement allows nobody.",
        "Remove that condition, or let a role assume this one (podrole.io/intermediate-role).",
    )
    OTHER_CONDITIONS = (Level.NOTE, "{where} has more conditions, which were not looked at: {keys}.")
    DENY = (
        Level.WARNING,
        "{where} denies {actions}: whom it fits cannot assume the role, whatever else allows it.",
        "See that it does not fit your pods.",
    )
    INVERTED = (Level.WARNING, "{where} uses {key}, which fits all but what it names.", "Name who is meant instead.")
    ANYBODY = (
        Level.PROBLEM,
        "{where} lets anybody assume the role, of any AWS account, without a condition.",
        "Name who is meant.",
    )
    OTHER_ROLE = (
        Level.NOTE,
        "{where} lets the role {value} assume this one. kube2iam and Kiam need that for the nodes' own role.",
        "If it is the nodes' role: remove it once no pod needs it, as until then every node can take this role.",
    )
    WHOLE_ACCOUNT = (
        Level.NOTE,
        "{where} lets everybody of account {value} assume the role whom a policy there allows.",
    )
    EC2 = (
        Level.NOTE,
        "{where} lets EC2 instances have the role by themselves.",
        "Remove it if it is no instance's role.",
    )
    DELETED_PRINCIPAL = (
        Level.WARNING,
        "{where} names {value}, which is what is left of a user or role that was deleted.",
        "Remove it.",
    )
    ISSUER_WITHOUT_TLS = (
        Level.WARNING,
        "The issuer {issuer} is not an https:// URL, and IAM takes no other.",
        "Have the API server's --service-account-issuer changed.",
    )
    ISSUER_INSIDE = (
        Level.WARNING,
        "The issuer {issuer} is only known inside the cluster, and AWS must be able to fetch its keys.",
        "Publish the discovery documents, and have the API server's --service-account-issuer changed.",
    )
    TOO_LONG = (
        Level.WARNING,
        "The policy has {length} characters without white space, and the default quota is {quota}.",
        "Have the quota raised ({highest} at most), or allow a namespace with --service-account '*'.",
    )
    FAR_TOO_LONG = (
        Level.PROBLEM,
        "The policy has {length} characters without white space, and IAM takes {highest} at most.",
        "Allow whole namespaces with --service-account '*', or use more than one role.",
    )

    # Of an OIDC provider, as aws iam get-open-id-connect-provider prints it
    PROVIDER_AUDIENCE = (
        Level.PROBLEM,
        "The OIDC provider's client ids are {value}: tokens for sts.amazonaws.com are refused.",
        "Add it: aws iam add-client-id-to-open-id-connect-provider --client-id sts.amazonaws.com ...",
    )
    PROVIDER_AUDIENCE_THERE = (Level.OK, "The OIDC provider takes tokens for sts.amazonaws.com.")
    PROVIDER_ISSUER = (
        Level.PROBLEM,
        "The OIDC provider is for {issuer}, but the cluster's issuer is {expected}.",
        "aws iam create-open-id-connect-provider --url https://{expected} --client-id-list sts.amazonaws.com",
    )
    THUMBPRINT = (
        Level.NOTE,
        "The OIDC provider has a thumbprint: it is only looked at where the issuer's certificate is by no public CA.",
    )
