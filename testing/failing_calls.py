"""Makes calls of a running program fail, to see what an error that nothing expects does."""

from typing import Any


def fail_calls(owner: Any, name: str, error: type[BaseException], calls: int = 1) -> None:
    """Replace a method or a function of a module: the first calls raise the error, later ones reach the original."""
    original = getattr(owner, name)
    left = [calls]

    def call(*args: Any, **kwargs: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise error("on purpose")
        return original(*args, **kwargs)

    setattr(owner, name, call)
