"""The container images: their contents as data, and the code that builds and assembles them."""
