"""The CAs in the form that OpenSSL looks up by itself: one file per CA, named by the hash of its subject.

https://docs.openssl.org/master/man1/openssl-rehash/
"""

import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

CA_DIRECTORY = "/usr/lib/ssl/certs"
"""Where Debian's OpenSSL looks for CAs by default. A `cert.pem` beside it would be read in full each time."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n")


def split_bundle(bundle: str) -> dict[str, str]:
    """Return the CAs of a PEM bundle by their names in a hashed directory; raise ValueError if one would be lost."""
    certificates = _CERTIFICATE.findall(bundle)
    if not certificates or len(certificates) != bundle.count("-----BEGIN"):
        raise ValueError(f"{len(certificates)} certificates found, of {bundle.count('-----BEGIN')} PEM blocks")
    with TemporaryDirectory() as folder:
        for number, certificate in enumerate(dict.fromkeys(certificates)):
            Path(folder, f"{number:04}.pem").write_text(certificate, encoding="ascii")
        subprocess.run(["openssl", "rehash", folder], check=True)
        return {link.name: link.read_text("ascii") for link in sorted(Path(folder).iterdir()) if link.is_symlink()}
