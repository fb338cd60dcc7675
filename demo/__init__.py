"""`python -m demo` shows what podrole does, on one machine: no cluster, no AWS account, no root."""
