"""The instance metadata service, over real sockets: tokens, credentials, region, zone and identity."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from testing.raw_http import Answer, ask, build_request
from testing.sidecars import CREDENTIALS_PATH, Sidecar, build_environ, running_sidecar
from tests.integration.sidecar.conftest import ODD_ROLE, write_token

TOKEN_PATH = "/latest/api/token"
METADATA = "/latest/meta-data"
ROLES = f"{METADATA}/iam/security-credentials"
IDENTITY = "/latest/dynamic/instance-identity/document"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"


def put_token(sidecar: Sidecar, ttl: str = "300", path: str = TOKEN_PATH) -> Answer:
    return ask(sidecar.port, build_request(path, "PUT", [(TTL, ttl)]))


def get(sidecar: Sidecar, path: str, token: str | None = None, method: str = "GET") -> Answer:
    return ask(sidecar.port, build_request(path, method, [(TOKEN, token)] if token is not None else []))


@pytest.mark.parametrize(
    "ttl", ["0", "21601", "-1", "+5", "1.5", "six", "", "60, 60", "0x10", "٣", "99999999999999999999"]
)
def test_token_request_with_invalid_ttl_gets_400(sidecar: Sidecar, ttl: str) -> None:
    request = build_request(TOKEN_PATH, "PUT").replace(b"\r\n\r\n", f"\r\n{TTL}: {ttl}\r\n\r\n".encode())

    answer = ask(sidecar.port, request)

    assert (answer.status, answer.body) == (400, b"")


def test_token_request_without_ttl_gets_400(sidecar: Sidecar) -> None:
    assert ask(sidecar.port, build_request(TOKEN_PATH, "PUT")).status == 400


def test_token_request_with_two_ttls_gets_400(sidecar: Sidecar) -> None:
    assert ask(sidecar.port, build_request(TOKEN_PATH, "PUT", [(TTL, "60"), (TTL, "60")])).status == 400


@pytest.mark.parametrize("path", ["/2021-03-23/api/token", "/1.0/api/token", "//2009-04-04/api/token/"])
def test_token_request_under_dated_version_is_rejected(sidecar: Sidecar, path: str) -> None:
    answer = put_token(sidecar, path=path)

    assert (answer.status, answer.body) == (403, b"")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "x-forwarded-for", "Forwarded", "Via"])
def test_token_request_with_proxy_header_is_rejected(sidecar: Sidecar, header: str) -> None:
    answer = ask(sidecar.port, build_request(TOKEN_PATH, "PUT", [(TTL, "60"), (header, "10.1.2.3")]))

    assert (answer.status, answer.body) == (403, b"")


@pytest.mark.parametrize("path", [TOKEN_PATH, f"{TOKEN_PATH}/", "//latest/api//token"])
@pytest.mark.parametrize("ttl", ["1", "60", "300", "600", "900", "21600"])
def test_token_response_has_token_and_ttl_header(sidecar: Sidecar, ttl: str, path: str) -> None:
    answer = put_token(sidecar, ttl, path)

    assert answer.status == 200
    assert answer.find("Content-Type") == "text/plain"
    assert answer.find(TTL) == ttl
    assert re.fullmatch(rb"[\x21-\x7e]{1,128}", answer.body)


@pytest.mark.parametrize(
    "spell",
    [pytest.param(str.lower, id="lower"), pytest.param(str.upper, id="upper"), pytest.param(str.title, id="title")],
)
def test_token_headers_are_case_insensitive(sidecar: Sidecar, spell: type[str]) -> None:
    token = ask(sidecar.port, build_request(TOKEN_PATH, "PUT", [(spell(TTL), "60")])).body.decode()

    assert ask(sidecar.port, build_request(ROLES, headers=[(spell(TOKEN), token)])).body == b"reader"


@pytest.mark.parametrize(
    "path", [ROLES, f"{ROLES}/reader", f"{METADATA}/placement/region", IDENTITY, "/latest/user-data"]
)
@pytest.mark.parametrize(
    "token",
    ["x", "A" * 56, "AAAAAAAAAAAAAAAAAAAA=", "é", "'; DROP TABLE tokens"],
    ids=["too-short", "wrong-signature", "wrong-length", "not-ascii", "sql"],
)
def test_invalid_token_gets_401_even_if_none_is_required(sidecar: Sidecar, token: str, path: str) -> None:
    answer = get(sidecar, path, token)

    assert (answer.status, answer.body) == (401, b"")


def test_expired_token_gets_401(sidecar: Sidecar) -> None:
    token = put_token(sidecar, "1").body.decode()
    deadline = time.monotonic() + 10

    while (answer := get(sidecar, ROLES, token)).status == 200:
        assert time.monotonic() < deadline, "the token is still valid after its TTL"
        time.sleep(0.05)

    assert (answer.status, answer.body) == (401, b"")


def test_two_token_headers_get_401(sidecar: Sidecar) -> None:
    token = put_token(sidecar).body.decode()

    answer = ask(sidecar.port, build_request(ROLES, headers=[(TOKEN, token), (TOKEN, token)]))

    assert (answer.status, answer.body) == (401, b"")


def test_token_with_any_changed_character_gets_401(sidecar: Sidecar) -> None:
    """Except the last character: base64 ignores four of its bits."""
    token = put_token(sidecar).body.decode()
    places = range(len(token.rstrip("=")) - 1)

    statuses = {
        get(sidecar, ROLES, f"{token[:at]}{'A' if token[at] != 'A' else 'B'}{token[at + 1 :]}").status for at in places
    }

    assert statuses == {401}


def test_hundreds_of_tokens_are_valid_at_once(sidecar: Sidecar) -> None:
    """A server that stores only 256 tokens breaks clients that hold others."""
    tokens = {put_token(sidecar, str(ttl)).body.decode() for ttl in range(1000, 1300)}

    statuses = [get(sidecar, ROLES, token).status for token in tokens]

    assert len(tokens) == 300
    assert set(statuses) == {200}


def test_token_survives_a_restart(sts: str, tmp_path: Path) -> None:
    """The Rust SDK never drops a token, not even after a 401."""
    write_token(tmp_path)
    environ = build_environ(tmp_path, sts)
    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0, sidecar.log
        token = put_token(sidecar).body.decode()
        sidecar.process.kill()
        sidecar.process.wait(30)

    with running_sidecar(environ, tmp_path) as successor:
        assert successor.wait_until_started() == 0, successor.log

        assert get(successor, ROLES, token).body == b"reader"


@pytest.mark.parametrize(
    "path",
    [ROLES, f"{ROLES}/{ODD_ROLE}", f"{ROLES}/other", f"{METADATA}/placement/region", IDENTITY, METADATA, "/latest"],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_metadata_without_token_gets_401_if_tokens_are_required(
    strict_sidecar: Sidecar, method: str, path: str
) -> None:
    answer = get(strict_sidecar, path, method=method)

    assert (answer.status, answer.body) == (401, b"")


def test_metadata_with_token_works_if_tokens_are_required(strict_sidecar: Sidecar) -> None:
    token = put_token(strict_sidecar).body.decode()

    assert get(strict_sidecar, ROLES, token).body.decode() == ODD_ROLE
    assert get(strict_sidecar, f"{ROLES}/{ODD_ROLE}", token).status == 200


def test_container_endpoint_needs_no_token_if_tokens_are_required(strict_sidecar: Sidecar) -> None:
    assert get(strict_sidecar, CREDENTIALS_PATH).status == 200


def test_token_of_another_sidecar_gets_401(sidecar: Sidecar, strict_sidecar: Sidecar) -> None:
    token = put_token(sidecar).body.decode()

    assert get(strict_sidecar, ROLES, token).status == 401


def test_imdsv1_clients_are_served_by_default(sidecar: Sidecar) -> None:
    assert get(sidecar, f"{ROLES}/").body == b"reader"
    assert get(sidecar, f"{ROLES}/reader").status == 200


@pytest.mark.parametrize("path", [ROLES, f"{ROLES}/"])
def test_role_list_is_the_name_without_newline(sidecar: Sidecar, path: str) -> None:
    answer = get(sidecar, path)

    assert (answer.status, answer.body) == (200, b"reader")
    assert answer.find("Content-Type") == "text/plain"


@pytest.mark.parametrize("path", [f"{ROLES}/reader", f"{ROLES}/reader/"])
def test_role_document_has_ec2s_layout(sidecar: Sidecar, path: str) -> None:
    """Scripts cut the document by line: one key and value per line, spaces around the colon, in this order."""
    answer = get(sidecar, path)

    keys = ["Code", "LastUpdated", "Type", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"]
    lines = [rf'  "{key}" : "[^"\s]+"' for key in keys]
    assert re.fullmatch("{\n" + ",\n".join(lines) + "\n}", answer.body.decode())
    assert answer.find("Content-Type") == "text/plain"
    document = json.loads(answer.body)
    assert (document["Code"], document["Type"]) == ("Success", "AWS-HMAC")


def test_timestamps_have_whole_seconds_and_a_literal_z(sidecar: Sidecar) -> None:
    """boto 2 and the JavaScript SDK parse no fractions and no offsets."""
    document = json.loads(get(sidecar, f"{ROLES}/reader").body)
    container = json.loads(get(sidecar, CREDENTIALS_PATH).body)

    times = [document["LastUpdated"], document["Expiration"], container["Expiration"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment) for moment in times)
    obtained, expires = (datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) for moment in times[:2])
    assert obtained.timestamp() <= time.time()
    assert 3500 < (expires - obtained).total_seconds() <= 3600


@pytest.mark.parametrize(
    "path",
    [
        *(f"{ROLES}/other", f"{ROLES}/READER", f"{ROLES}/reade", f"{ROLES}/reader2", f"{ROLES}/ops/reader"),
        *(f"{ROLES}/reader/reader", f"{ROLES}/arn:aws:iam::111122223333:role/team/admin", f"{ROLES}-extended/"),
        *(f"{ROLES}-extended/reader", "/role-arn/arn:aws:iam::111122223333:role/admin", f"{ROLES}reader"),
    ],
)
def test_other_roles_are_not_found(sidecar: Sidecar, path: str) -> None:
    answer = get(sidecar, path)

    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize(
    "name", [ODD_ROLE, "a%2Bb%3Dc%2Cd.e%40f_g-h", "a%2bb%3dc%2cd%2Ee%40f%5Fg%2Dh", "%61+b=c,d.e@f_g-h"]
)
def test_percent_encoded_role_name_is_accepted(strict_sidecar: Sidecar, name: str) -> None:
    token = put_token(strict_sidecar).body.decode()

    answer = get(strict_sidecar, f"{ROLES}/{name}", token)

    assert json.loads(answer.body)["Code"] == "Success"


@pytest.mark.parametrize("name", ["a%252Bb=c,d.e@f_g-h", "a b=c,d.e@f_g-h", "a%20b=c,d.e@f_g-h"])
def test_role_name_is_decoded_once_and_plus_is_not_a_space(strict_sidecar: Sidecar, name: str) -> None:
    token = put_token(strict_sidecar).body.decode()

    assert get(strict_sidecar, f"{ROLES}/{name}", token).status in {400, 404}


@pytest.mark.parametrize(
    "path",
    [
        *("//latest/meta-data/iam/security-credentials/", f"{METADATA}//iam///security-credentials"),
        *(
            ROLES.replace("latest", version)
            for version in ("2009-04-04", "2016-09-02", "1.0", "2007-01-19", "2024-04-11")
        ),
        *(f"/{ROLES}////", f"{ROLES}?", f"{ROLES}/?x=/../y"),
    ],
)
def test_duplicate_slashes_and_dated_versions_are_normalized(sidecar: Sidecar, path: str) -> None:
    answer = get(sidecar, path)

    assert (answer.status, answer.body) == (200, b"reader")
    assert answer.find("Location") is None


@pytest.mark.parametrize("version", ["2.0", "2009-4-4", "latest2", "09-04-04", "2009-04-04x", "v2", "Latest"])
def test_invalid_version_is_not_found(sidecar: Sidecar, version: str) -> None:
    assert get(sidecar, ROLES.replace("latest", version)).status == 404


def test_region_and_zone_are_consistent_across_paths(strict_sidecar: Sidecar) -> None:
    """Clients without a configured region read it from any of these paths, some from the zone."""
    token = put_token(strict_sidecar).body.decode()

    region = get(strict_sidecar, f"{METADATA}/placement/region", token).body.decode()
    zones = [
        get(strict_sidecar, f"{METADATA}/placement/availability-zone{end}", token).body.decode() for end in ("", "/")
    ]
    identity = json.loads(get(strict_sidecar, IDENTITY, token).body)
    instance_id = get(strict_sidecar, f"{METADATA}/instance-id/", token).body.decode()

    assert (region, zones) == ("eu-west-1", ["eu-west-1b", "eu-west-1b"])
    assert zones[0][:-1] == region == identity["region"]
    assert identity["availabilityZone"] == zones[0]
    assert identity["instanceId"] == instance_id == "i-0123456789abcdef0"
    assert identity["accountId"] == "111122223333"


def test_unknown_values_are_omitted(sidecar: Sidecar) -> None:
    identity = json.loads(get(sidecar, IDENTITY).body)

    assert identity == {"accountId": "111122223333", "region": "eu-west-1", "version": "2017-09-30"}
    for path in ("placement/availability-zone", "instance-id", "iam/info"):
        assert get(sidecar, f"{METADATA}/{path}").status == 404


@pytest.mark.parametrize("name", ["team/reader", "arn:aws:iam::111122223333:role/team/reader"])
def test_role_is_served_at_the_names_that_kube2iam_lists(sidecar: Sidecar, name: str) -> None:
    assert get(sidecar, f"{ROLES}/{name}").body == get(sidecar, f"{ROLES}/reader").body


@pytest.mark.parametrize(
    ("path", "names"),
    [
        pytest.param("/latest/", b"dynamic\nmeta-data", id="version"),
        pytest.param("/2021-07-15/", b"dynamic\nmeta-data", id="dated-version"),
        pytest.param(f"{METADATA}/", b"iam/\nplacement/", id="metadata"),
        pytest.param(METADATA, b"iam/\nplacement/", id="metadata-without-slash"),
        pytest.param(f"{METADATA}/iam/", b"security-credentials/", id="iam"),
        pytest.param(f"{METADATA}/placement/", b"region", id="placement"),
    ],
)
def test_directory_is_listed(sidecar: Sidecar, path: str, names: bytes) -> None:
    answer, head = get(sidecar, path), get(sidecar, path, method="HEAD")

    assert (answer.status, answer.body) == (200, names)
    assert (head.status, head.body, head.find("Content-Length")) == (200, b"", str(len(names)))
    assert get(sidecar, path, "INVALID").status == 401


def test_root_tells_the_version_of_imds_by_the_token(sidecar: Sidecar, strict_sidecar: Sidecar) -> None:
    """fluent-bit sends a token that cannot be valid: 401 is IMDSv2. Without a token, 200 is IMDSv1."""
    for running in (sidecar, strict_sidecar):
        token = put_token(running).body.decode()

        assert [get(running, "/", "INVALID", method).status for method in ("GET", "HEAD")] == [401, 401]
        assert [get(running, "/", token, method).status for method in ("GET", "HEAD")] == [200, 200]
    assert get(sidecar, "/").body.endswith(b"\nlatest")
    assert get(strict_sidecar, "/").status == 401


def test_identity_document_has_ec2s_layout(sidecar: Sidecar) -> None:
    answer = get(sidecar, IDENTITY)

    lines = b'{\n  "accountId" : "111122223333",\n  "region" : "eu-west-1",\n  "version" : "2017-09-30"\n}'
    assert answer.body == lines
    assert answer.find("Content-Type") == "text/plain"


@pytest.mark.parametrize(
    "path",
    [
        *("/latest/api", f"{METADATA}/iam/info", "/latest/user-data", f"{METADATA}/tags/", f"{METADATA}/network"),
        *(f"{METADATA}/identity-credentials/ec2/security-credentials/ec2-instance", f"{METADATA}/public-keys/0"),
        *("/latest/dynamic/instance-identity/pkcs7", f"{METADATA}/tags/instance/Name", "/favicon.ico", "/metrics"),
    ],
)
def test_other_metadata_paths_are_not_found(sidecar: Sidecar, path: str) -> None:
    answer = get(sidecar, path)

    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize(
    "path",
    [
        *("/latest/meta-data/../meta-data/iam/security-credentials/", f"/x/..{ROLES}", f"/.{ROLES}", f"{ROLES}/."),
        *(f"/%2e%2e{ROLES}", "/latest%2fmeta-data/iam/security-credentials", f"{ROLES}%2F", f"{ROLES}/%00"),
        *(f"{ROLES}%5c", f"{ROLES}\\", f"{ROLES}/reader%0a", f"{ROLES}/%c3%a9", f"{ROLES}/é", f"{ROLES}/reader%"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_ambiguous_path_is_not_found(sidecar: Sidecar, path: str, method: str) -> None:
    answer = get(sidecar, path, method=method)

    assert answer.status in {400, 404}
    assert answer.body == b""
