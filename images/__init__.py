"""The container images: their contents as data, and the code that builds them. Imports no other package."""
