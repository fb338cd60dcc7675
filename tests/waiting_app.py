"""A pod with an app that waits to be told what to do, for the tests that run it."""

from typing import Any

from testing.demo_node import STS_URL

IDENTITY = "arn:aws:sts::111122223333:assumed-role/reader/shop.app"
"""Who the app is once the pod was injected."""

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "app", "namespace": "shop", "annotations": {"iam.amazonaws.com/role": "reader"}},
    "spec": {
        "containers": [
            {
                "name": "app",
                "image": "app",
                "command": ["sleep", "600"],
                "env": [{"name": "AWS_ENDPOINT_URL", "value": STS_URL}],
            }
        ]
    },
}
WHO_AM_I = ("python3", "/app/apps/whoami.py")
"""Prints who the app is, through boto3."""
