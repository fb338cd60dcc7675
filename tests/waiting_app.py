"""A pod whose app sleeps, so that tests can run commands in its container."""

from typing import Any

from testing.demo_node import STS_URL

IDENTITY = "arn:aws:sts::111122223333:assumed-role/reader/shop.app"
"""The app's identity in the injected pod."""

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
"""Prints the app's identity through boto3."""
