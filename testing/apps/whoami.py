"""An app as anybody writes it: asks STS through boto3, without a line of configuration, who it is."""

import boto3

print(boto3.client("sts").get_caller_identity()["Arn"])
