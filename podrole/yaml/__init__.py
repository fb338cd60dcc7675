"""Manifests as text: read documents, and change them without touching a byte that need not change. Pure."""
