"""Prints, for each ADDRESS:PORT, the role that a metadata service lists there, or the error."""

import http.client
import sys

ROLES = "/latest/meta-data/iam/security-credentials/"
TIMEOUT_SECONDS = 3


def ask(endpoint: str) -> str:
    """Send a GET without a token, as the oldest SDKs do."""
    address, _, port = endpoint.rpartition(":")
    connection = http.client.HTTPConnection(address.strip("[]"), int(port), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", ROLES)
        return connection.getresponse().read().decode() or "nothing"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    finally:
        connection.close()


for endpoint in sys.argv[1:]:
    print(endpoint, ask(endpoint), sep="\t")
