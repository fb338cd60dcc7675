"""Calls STS in a short-lived child process; only it may import boto3 and tenacity. May import `credentials`."""
