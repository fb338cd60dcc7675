"""The container images: what they hold, as data; what assembles them inside of a build, what builds them outside."""
