"""The log of rejected requests in a running sidecar."""

import json

from testing.raw_http import ask, build_request, connect
from testing.sidecars import CREDENTIALS_PATH, Sidecar

ROLES = "/latest/meta-data/iam/security-credentials"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"


def test_flood_of_rejected_requests_does_not_flood_the_log(sidecar: Sidecar) -> None:
    before = len(sidecar.log)

    for _ in range(300):
        ask(sidecar.port, build_request(ROLES, host="flood.example.com"))
        ask(sidecar.port, build_request(ROLES, headers=[("Origin", "http://flood.example.com")]))
        with connect(sidecar.port) as wire:
            wire.send(b"flood\r\n\r\n")
            wire.read_rest()

    written = sidecar.log[before:]
    assert len(written.splitlines()) < 20
    assert "flood" not in written


def test_rejection_is_logged_with_its_reason(empty_sidecar: Sidecar) -> None:
    ask(empty_sidecar.port, build_request(ROLES, host="evil.example.com"))

    [line] = [
        line for line in empty_sidecar.wait_for_log('"request-rejected"').splitlines() if '"request-rejected"' in line
    ]
    event = json.loads(line)
    assert (event["event"], event["status"], event["reason"], event["count"]) == ("request-rejected", 403, "host", 1)


def test_log_contains_no_request_or_response_data(sidecar: Sidecar) -> None:
    token = ask(sidecar.port, build_request("/latest/api/token", "PUT", [(TTL, "60")])).body.decode()
    document = json.loads(ask(sidecar.port, build_request(f"{ROLES}/reader")).body)
    marked = [("X-aws-ec2-metadata-token", "marked"), ("Authorization", "marked"), ("User-Agent", "marked")]

    for method in ("GET", "PUT", "POST"):
        for host in ("169.254.169.254", "marked.example.com"):
            for path in ("/marked", f"{ROLES}/marked?marked=marked", f"{CREDENTIALS_PATH}?marked", f"{ROLES}/..marked"):
                ask(sidecar.port, build_request(path, method, marked, host))

    secrets = [token, *(document[key] for key in ("AccessKeyId", "SecretAccessKey", "Token"))]
    assert [secret for secret in [*secrets, "marked"] if secret in sidecar.log] == []
