"""A typical S3 app: writes an object into the bucket in its first argument, reads it and prints it."""

import sys

import boto3

bucket = sys.argv[1]
s3 = boto3.client("s3")
s3.put_object(Bucket=bucket, Key="greeting", Body=b"hello")
print(s3.get_object(Bucket=bucket, Key="greeting")["Body"].read().decode())  # noqa: T201 - its output
