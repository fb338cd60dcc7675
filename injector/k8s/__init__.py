"""Kubernetes objects and the API client. The only package that imports `kubernetes`."""
