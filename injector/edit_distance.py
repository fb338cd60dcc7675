"""How much two names differ, to find the one that somebody meant. Pure."""

from collections.abc import Iterable


def find_nearest(text: str, wanted: Iterable[str], most: int) -> str | None:
    """The first of the names that `text` can become by the fewest edits; None where all need more than `most`."""
    distances = {one: count_edits(text, one, most) for one in wanted}
    nearest = min(distances, key=lambda one: distances[one], default=None)
    return None if nearest is None or distances[nearest] > most else nearest


def count_edits(text: str, wanted: str, most: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbours from one text to the other; `most` + 1 if more."""
    if abs(len(text) - len(wanted)) > most:
        return most + 1
    before: list[int] = []
    row: list[int] = [*range(len(wanted) + 1)]
    for number, letter in enumerate(text, 1):
        above, row = row, [number]
        for column, other in enumerate(wanted, 1):
            edits = min(above[column] + 1, row[-1] + 1, above[column - 1] + (letter != other))
            is_swap = number > 1 and column > 1 and letter == wanted[column - 2] and other == text[number - 2]
            row.append(min(edits, before[column - 2] + 1) if is_swap else edits)
        if min(row) > most and min(above) > most:
            return most + 1
        before = above
    return min(row[-1], most + 1)
