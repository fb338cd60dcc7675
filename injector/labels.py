"""The namespace label that turns injection on."""

INJECTION_LABEL = "podrole.io/injection"
INJECTION_ENABLED = "enabled"
