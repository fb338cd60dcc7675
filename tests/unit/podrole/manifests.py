"""Manifests that the tests of `podrole inject` and `podrole uninject` share."""

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
    "several-documents": f"{SERVICE}---\n{DEPLOYMENT}---\n",
}
"""Forms in which a file may have the Deployment."""
