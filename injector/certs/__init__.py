"""The certificate that the webhook serves: CA, rotation, TLS. Reads and writes the cluster through `injector.k8s`."""
