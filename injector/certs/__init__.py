"""The webhook's serving certificate: CA, rotation, TLS. May import `injector.k8s`, which accesses the cluster."""
