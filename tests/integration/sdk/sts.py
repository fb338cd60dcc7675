"""An STS on the pods' node with short sessions. It also implements GetCallerIdentity.

    python -m tests.integration.sdk.sts ADDRESS PORT SESSION_SECONDS

If SESSION_SECONDS is 0 it denies every request.

It is stateless: the session token names its owner. As moto, it verifies no signatures.
"""

import argparse
import base64
import re
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from testing.repository import ROOT
from testing.services.faulty_sts import DENIED, NAMESPACE, REQUEST_ID, Fault, Form, Grant, build_error, build_grant
from testing.services.programs import Program

UNKNOWN_KEY = build_error(403, "InvalidClientTokenId", "The security token included in the request is invalid")

EXPIRED_TOKEN = build_error(403, "ExpiredToken", "The security token included in the request is expired")


class ShortSts(ThreadingHTTPServer):
    """Listens on one address."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], session_seconds: int) -> None:
        self.session = timedelta(seconds=session_seconds)
        super().__init__(address, ShortStsRequest)


class ShortStsRequest(BaseHTTPRequestHandler):
    """Reads a form, sends a response and closes."""

    timeout = 5
    server: ShortSts

    def do_POST(self) -> None:
        form: Form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        response = self._choose(form)
        raw = response if isinstance(response, Fault) else Fault(200, response)
        body = raw.body.encode()
        self.send_response(raw.status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _choose(self, form: Form) -> str | Fault:
        if form["Action"] == "GetCallerIdentity":
            return identify(self.headers.get("Authorization", ""), self.headers.get("X-Amz-Security-Token", ""))
        return grant(form, datetime.now(UTC) + self.server.session) if self.server.session else DENIED


def grant(form: Form, expires: datetime) -> str:
    """Grant a session with a unique key and a token that names its owner."""
    number = secrets.randbelow(10**16)
    body = build_grant(form, Grant(expires.strftime("%Y-%m-%dT%H:%M:%SZ")), number)
    key, arn = (re.search(f"<{name}>(.+)</{name}>", body) for name in ("AccessKeyId", "Arn"))
    assert key
    assert arn
    token = base64.b64encode(f"{key[1]} {expires.timestamp():.0f} {arn[1]}".encode()).decode()
    return body.replace(f"token-{number}<", f"{token}<")


def identify(authorization: str, token: str) -> str | Fault:
    """Identify the caller. `UserId` has the access key instead of the role id, so that tests see which key was used."""
    credential = re.search(r"Credential=(\w+)/", authorization)
    try:
        key, expires, arn = base64.b64decode(token, validate=True).decode().split(" ")
    except ValueError:
        return UNKNOWN_KEY
    if not credential or credential[1] != key:
        return UNKNOWN_KEY
    if int(expires) < time.time():
        return EXPIRED_TOKEN
    account, session = arn.split(":")[4], arn.split("/")[-1]
    return f"""\
<GetCallerIdentityResponse xmlns="{NAMESPACE}"><GetCallerIdentityResult>
<Arn>{arn}</Arn><UserId>{key}:{session}</UserId><Account>{account}</Account>
</GetCallerIdentityResult><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>"""


def build_program(name: str, address: tuple[str, int], session_seconds: int) -> Program:
    """Build the program that runs this module."""
    options = [address[0], str(address[1]), str(session_seconds)]
    return Program(
        name=f"sts-{name}",
        argv=("env", "-C", str(ROOT), sys.executable, "-m", "tests.integration.sdk.sts", *options),
        ready=r"serving on (\S+)",
        remedy="free the port",
    )


def main() -> None:
    """Serve until a signal arrives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("session_seconds", type=int)
    arguments = parser.parse_args()
    server = ShortSts((arguments.address, arguments.port), arguments.session_seconds)
    sys.stdout.write(f"serving on http://{arguments.address}:{arguments.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
