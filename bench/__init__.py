"""What podrole costs: one command a subject, each prints a table. Loopback only, bounded in count."""
