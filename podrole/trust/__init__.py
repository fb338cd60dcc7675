"""What `podrole trust-policy` reads, prints and writes. Policies are built in `podrole.iam`."""
