"""Checks whether STS can verify the tokens of the cluster's pods: it fetches the issuer's keys."""

from collections.abc import Iterator

from contract.modes import CredentialSource
from contract.outside_aws import is_outside_aws
from podrole.diagnosis.cluster.findings import Issuer
from podrole.diagnosis.state.check_context import CheckContext
from podrole.findings import Finding
from podrole.issuer_urls import IssuerProblem, find_issuer_problems


def check_issuer(context: CheckContext) -> Iterator[Finding]:
    """Report an issuer that AWS cannot reach; outside AWS and with the node's role it can be right."""
    issuer, config = context.cluster.issuer.value, context.effective_config
    problems = [*find_issuer_problems(issuer)]
    values = {"issuer": issuer, "problems": "; ".join(problems)}
    if not problems:
        yield Issuer.ISSUER_PUBLIC.format(**values)
    elif config and config.config.credential_source == CredentialSource.NODE:
        yield Issuer.ISSUER_NOT_USED.format(**values)
    elif config and is_outside_aws(config.config.sts_endpoint):
        yield Issuer.ISSUER_FOR_OWN_STS.format(**values, endpoint=config.config.sts_endpoint)
    elif problems == [IssuerProblem.ENDS_WITH_SLASH]:
        yield Issuer.ISSUER_ENDS_WITH_SLASH.format(**values)
    else:
        yield Issuer.ISSUER_UNREACHABLE.format(**values)
