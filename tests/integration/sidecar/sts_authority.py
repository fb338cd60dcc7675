"""A CA, and servers with its certificates."""

import ssl
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import trustme

DAY = timedelta(days=1)


class Authority(NamedTuple):
    """A CA, its PEM, and contexts of servers with its certificates."""

    ca: trustme.CA
    pem: str

    def serve(self, *names: str, valid: timedelta = DAY, common_name: str | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        expires = datetime.now(UTC) + valid
        self.ca.issue_cert(*names, not_after=expires, common_name=common_name).configure_cert(context)
        return context


def create_authority() -> Authority:
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    return Authority(ca, ca.cert_pem.bytes().decode())
