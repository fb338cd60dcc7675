"""A typical app: calls GetCallerIdentity through boto3, without any configuration."""

import boto3

print(boto3.client("sts").get_caller_identity()["Arn"])
