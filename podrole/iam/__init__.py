"""Trust policies of IAM roles: built, merged and checked. Pure; may import `injector` except its clients."""
