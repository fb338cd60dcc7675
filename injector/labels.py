"""The namespace label that enables injection."""

INJECTION_LABEL = "podrole.io/injection"
INJECTION_ENABLED = "enabled"
