"""Calls STS in a short-lived child process; the only package that may import boto3, botocore and tenacity."""
