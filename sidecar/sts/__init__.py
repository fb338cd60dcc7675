"""Calls to STS, in a short-lived child process; the only importer of boto3 and tenacity."""
