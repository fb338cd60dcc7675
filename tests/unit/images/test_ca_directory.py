"""The hashed directory of CAs: OpenSSL finds every CA of the bundle in it."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import botocore
import pytest

from images.ca_directory import split_bundle
from testing.services.certificates import write_certificates

BUNDLE = Path(botocore.__file__).parent / "cacert.pem"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda pem: pem[:-30], id="truncated"),
        pytest.param(lambda pem: pem.replace("\n", "\r\n"), id="other-line-ends"),
        pytest.param(lambda pem: pem.replace("BEGIN CERTIFICATE", "BEGIN TRUSTED CERTIFICATE"), id="another-kind"),
    ],
)
def test_bundle_of_which_a_ca_would_be_lost_fails_the_build(change: Callable[[str], str], tmp_path: Path) -> None:
    pem = write_certificates(tmp_path, ["a"]).ca.read_text()

    with pytest.raises(ValueError, match="1 certificates found, of 2"):
        split_bundle(pem + change(pem))


def test_empty_bundle_fails_the_build() -> None:
    with pytest.raises(ValueError, match="0 certificates found"):
        split_bundle("")


def test_every_ca_of_the_bundle_is_in_the_directory() -> None:
    files = split_bundle(BUNDLE.read_text())

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(BUNDLE)
    found = {ssl.PEM_cert_to_DER_cert(certificate) for certificate in files.values()}
    assert len(files) > 100
    assert found == set(context.get_ca_certs(binary_form=True))


def test_files_are_named_by_the_hash_of_the_subject(tmp_path: Path) -> None:
    """Two CAs with one subject have numbers; a CA that is there twice is one file."""
    cas = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        cas.append(make_ca(tmp_path / name, "/O=Example"))
    expected = subprocess.run(
        ["openssl", "x509", "-noout", "-subject_hash"], input=cas[0], capture_output=True, text=True, check=True
    ).stdout.strip()

    files = split_bundle("".join([*cas, cas[0]]))

    assert list(files) == [f"{expected}.0", f"{expected}.1"]
    assert list(files.values()) == cas


def make_ca(directory: Path, subject: str) -> str:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", str(directory / "key"), "-out", str(directory / "ca")]
    subprocess.run([*command, "-subj", subject, *files], check=True, capture_output=True)
    return (directory / "ca").read_text()
