"""What IAM must allow so that pods get their roles: trust policies. Pure; nothing here talks to AWS or to a cluster."""
