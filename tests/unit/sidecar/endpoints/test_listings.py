"""EC2's listings: what agents and scripts find at `/` and at each directory."""

from typing import Any

import pytest

from contract.value_types import ImdsTokens
from server.messages import Handler
from sidecar.endpoints import imds_tokens, listings
from sidecar.endpoints.handler import create_handler
from testing.handlers import call
from tests.unit.sidecar.endpoints.test_handler import KEY, NOW, VALID, build_handler, build_state, with_token

DIRECTORIES = [
    "/",
    "/latest",
    "/latest/dynamic",
    "/latest/dynamic/instance-identity",
    "/latest/meta-data",
    "/latest/meta-data/iam",
    "/latest/meta-data/placement",
]
EXPECTED = {
    "/latest": "dynamic\nmeta-data",
    "/latest/dynamic": "instance-identity/",
    "/latest/dynamic/instance-identity": "document",
    "/latest/meta-data": "iam/\nplacement/",
    "/latest/meta-data/iam": "security-credentials/",
    "/latest/meta-data/placement": "region",
}


def build_configured_handler(**changes: Any) -> Handler:
    state = build_state()
    state.config = state.config._replace(**changes)
    return create_handler(state)


@pytest.mark.parametrize("token", ["INVALID", "", imds_tokens.build_token(b"other" * 8, 60, NOW)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", DIRECTORIES)
def test_listing_with_an_invalid_token_gets_401(path: str, method: str, token: str) -> None:
    response = call(build_handler(), path, with_token(token), method)

    assert (response.status, response.body) == (401, b"")


@pytest.mark.parametrize("path", DIRECTORIES)
def test_listing_requires_a_token_where_tokens_are_required(path: str) -> None:
    handler = build_handler(VALID, ImdsTokens.REQUIRED)
    token = imds_tokens.build_token(KEY, 60, NOW)

    assert call(handler, path).status == 401
    assert call(handler, path, with_token(token)).status == 200


@pytest.mark.parametrize("spelling", ["{}", "{}/", "/{}//"], ids=["plain", "trailing-slash", "duplicate-slashes"])
@pytest.mark.parametrize(("path", "names"), EXPECTED.items(), ids=list(EXPECTED))
def test_listing_names_what_there_is(path: str, names: str, spelling: str) -> None:
    response = call(build_handler(), spelling.format(path))

    assert (response.status, response.body.decode()) == (200, names)
    assert dict(response.headers)["Content-Type"] == "text/plain"


@pytest.mark.parametrize("path", ["/", "//"])
def test_root_lists_the_versions_of_ec2_with_latest_as_the_last(path: str) -> None:
    versions = call(build_handler(), path).body.decode().split("\n")

    assert versions == sorted(versions)
    assert (versions[0], versions[-1]) == ("1.0", "latest")
    assert {"2009-04-04", "2014-02-25", "2021-03-23", "2021-07-15"} < set(versions)


def test_every_listed_version_is_served() -> None:
    handler = build_handler()
    versions = call(handler, "/").body.decode().split("\n")

    bodies = {call(handler, f"/{version}/{slash}").body.decode() for version in versions for slash in ("", "/")}

    assert bodies == {EXPECTED["/latest"]}


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("path", DIRECTORIES)
def test_wrong_method_for_a_listing_gets_405(path: str, method: str) -> None:
    assert call(build_handler(), path, method=method).status == 405


def test_listing_names_a_configured_zone_and_instance() -> None:
    handler = build_configured_handler(zone_label="eu-west-1c", instance_id="i-0123456789abcdef0")

    assert call(handler, "/latest/meta-data").body == b"iam/\ninstance-id\nplacement/"
    assert call(handler, "/latest/meta-data/placement").body == b"availability-zone\nregion"


def test_every_listed_name_is_served() -> None:
    """A program that walks the tree, such as boto's get_instance_metadata, finds no dead end."""
    handler = build_configured_handler(zone_label="eu-west-1c", instance_id="i-0123456789abcdef0")
    left, values = ["/latest/meta-data/", "/latest/dynamic/"], {}

    while left:
        directory = left.pop()
        for name in call(handler, directory).body.decode().split("\n"):
            path = directory + name
            if name.endswith("/"):
                left.append(path)
            else:
                values[path] = call(handler, path).status

    assert set(values.values()) == {200}
    assert len(values) == 5


def test_listings_of_one_path_are_its_parents() -> None:
    assert listings.build_listings(["/latest/meta-data/placement/region", "/v1/credentials", "/podrole/status"]) == {
        "/": listings.VERSIONS.replace(" ", "\n"),
        "/latest": "meta-data",
        "/latest/meta-data": "placement/",
        "/latest/meta-data/placement": "region",
    }
