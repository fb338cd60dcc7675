"""Kubernetes objects, and the only importer of the Kubernetes client. Imports no other package of the injector."""
