"""Manifests that the tests of `podrole inject` and `podrole uninject` share."""

from pathlib import Path

DEPLOYMENT = """\
# A shop.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
      annotations:
        iam.amazonaws.com/role: reader # only reads
    spec:
      containers:
        - name: app
          image: example/app:1
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: shop} # as it is\n"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {podrole.io/injection: enabled}}\n"
DENIED = DEPLOYMENT.replace("reader", '"a b"')

TEXTS = {
    "deployment": DEPLOYMENT,
    "crlf": DEPLOYMENT.replace("\n", "\r\n"),
    "no-final-newline": DEPLOYMENT.removesuffix("\n"),
    "crlf-and-no-final-newline": DEPLOYMENT.replace("\n", "\r\n").removesuffix("\r\n"),
    "byte-order-mark": f"\ufeff{DEPLOYMENT}",
    "several-documents": f"{SERVICE}---\n{DEPLOYMENT}---\n",
    "last-document-without-final-newline": f"{DEPLOYMENT}---\n{SERVICE}".removesuffix("\n"),
    "empty-documents-and-comments": f"---\n---\n# first\n---\n{DEPLOYMENT}---\n\n---\n# last",
}
"""Forms in which a file may have the Deployment."""


def write(directory: Path, **texts: str) -> str:
    for name, text in texts.items():
        (directory / f"{name}.yaml").write_text(text)
    return str(directory)
