"""How messages repeat text that a user wrote."""


def truncate(text: str, length: int) -> str:
    """Return at most `length` characters of a text; `...` follows where some were removed."""
    return text if len(text) <= length else f"{text[:length]}..."
