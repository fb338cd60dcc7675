"""An STS on the pods' node: grants short sessions or refuses, and tells everybody who they are.

    python -m tests.integration.sdk.sts ADDRESS PORT SESSION_SECONDS

With sessions of no seconds it refuses.

It keeps nothing: who a key belongs to stands in its session token. No signature is verified, as in moto.
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
    """Listens on one address until it is killed."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], session_seconds: int) -> None:
        self.session = timedelta(seconds=session_seconds)
        super().__init__(address, ShortStsRequest)


class ShortStsRequest(BaseHTTPRequestHandler):
    """Reads one form, sends one answer, and closes."""

    timeout = 5
    server: ShortSts

    def do_POST(self) -> None:
        form: Form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        answer = self._choose(form)
        fault = answer if isinstance(answer, Fault) else Fault(200, answer)
        body = fault.body.encode()
        self.send_response(fault.status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _choose(self, form: Form) -> str | Fault:
        if form["Action"] == "GetCallerIdentity":
            return identify(self.headers.get("Authorization", ""), self.headers.get("X-Amz-Security-Token", ""))
        return grant(form, datetime.now(UTC) + self.server.session) if self.server.session else DENIED


def grant(form: Form, expires: datetime) -> str:
    """A session with a key that no other has, and a token that names its owner."""
    number = secrets.randbelow(10**16)
    body = build_grant(form, Grant(expires.strftime("%Y-%m-%dT%H:%M:%SZ")), number)
    key, arn = (re.search(f"<{name}>(.+)</{name}>", body) for name in ("AccessKeyId", "Arn"))
    assert key
    assert arn
    token = base64.b64encode(f"{key[1]} {expires.timestamp():.0f} {arn[1]}".encode()).decode()
    return body.replace(f"token-{number}<", f"{token}<")


def identify(authorization: str, token: str) -> str | Fault:
    """Whose key signed. Where AWS has the role's id, `UserId` has that key: a test sees which one was used."""
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
    """This module as a program."""
    options = [address[0], str(address[1]), str(session_seconds)]
    return Program(
        name=f"sts-{name}",
        argv=("env", "-C", str(ROOT), sys.executable, "-m", "tests.integration.sdk.sts", *options),
        ready=r"serving on (\S+)",
        remedy="free the port",
    )


def main() -> None:
    """Serve until ended by a signal."""
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
