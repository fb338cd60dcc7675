"""Which paths of the node's metadata an operator can list."""

import pytest

from contract.value_types import METADATA_PATHS

REFUSED = {
    "iam": "meta-data/iam/info",
    "iam-itself": "meta-data/iam",
    "iam-in-capitals": "meta-data/IAM/security-credentials/node",
    "iam-after-another": "meta-data/mac,meta-data/iam/info",
    "identity-credentials": "meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
    "identity-credentials-itself": "meta-data/identity-credentials",
    "user-data": "user-data",
    "token": "api/token",
    "signed-identity": "dynamic/instance-identity/pkcs7",
    "signature-of-the-identity": "dynamic/instance-identity/signature",
    "wildcard-for-the-identity": "dynamic/instance-identity/*",
    "wildcard-for-iam": "meta-data/*/info",
    "wildcard-for-all": "meta-data/*",
    "wildcard-for-meta-data": "*/iam/info",
    "wildcard-alone": "*",
    "wildcard-in-a-name": "meta-data/placement/avail*",
    "two-wildcards": "meta-data/tags/**",
    "dot-segment": "meta-data/./iam/info",
    "dots": "meta-data/tags/../iam/info",
    "dots-at-the-end": "meta-data/tags/..",
    "empty-segment": "meta-data//iam/info",
    "encoded": "meta-data/i%61m/info",
    "parameter": "meta-data/iam;x/info",
    "query": "meta-data/mac?x",
    "leading-slash": "/meta-data/mac",
    "trailing-slash": "meta-data/tags/",
    "version": "latest/meta-data/mac",
    "directory-of-all": "meta-data",
    "space": "meta-data/mac, meta-data/ami-id",
    "newline": "meta-data/mac\n",
    "trailing-comma": "meta-data/mac,",
    "variable": "meta-data/$(HOME)",
    "too-deep": "meta-data" + "/a" * 12,
    "too-long-a-name": "meta-data/" + "a" * 129,
    "too-many": ",".join(["meta-data/mac"] * 101),
    "too-long": ",".join(["meta-data/" + "a" * 120] * 33),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=list(REFUSED))
def test_path_that_no_pod_may_read_is_refused(text: str) -> None:
    assert not METADATA_PATHS.accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        "meta-data/spot/instance-action",
        "meta-data/network/interfaces/macs/*/vpc-id",
        "meta-data/network/interfaces/macs/0e:49:61:0f:c3:11/vpc-id",
        "meta-data/tags/instance/*",
        "meta-data/events/*/*",
        "meta-data/iam-like",
        "dynamic/instance-identity/document",
        "dynamic/fws/instance-monitoring",
        pytest.param(",".join(f"meta-data/name-{number}" for number in range(100)), id="hundred"),
    ],
)
def test_path_without_secrets_is_accepted(text: str) -> None:
    assert METADATA_PATHS.accepts(text)


def test_paths_are_read_in_order_without_duplicates() -> None:
    assert METADATA_PATHS.parse("meta-data/mac,meta-data/ami-id,meta-data/mac") == ("meta-data/mac", "meta-data/ami-id")
