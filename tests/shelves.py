"""A shelf in memory, and states of which nothing stays open that nobody works at."""

from prodigy.job.state import JobState, item_rows, letter_rows


class MemoryShelf:
    """A shelf that takes so many bytes, and counts those that it has."""

    def __init__(self, most: float = float("inf")) -> None:
        self.data = bytearray()
        self.most = most

    def lay(self, data: bytes) -> int | None:
        if len(self.data) + len(data) > self.most:
            return None
        self.data += data
        return len(self.data) - len(data)

    def lay_over(self, place: int, data: bytes) -> bool:
        if len(self.data) > self.most:
            return False
        self.data[place : place + len(data)] = data
        return True

    def take(self, place: int, size: int) -> bytes:
        return bytes(self.data[place : place + size])


def resting() -> JobState:
    """A state before its first record; each of its rows is put to rest as soon as that may be."""
    items, letters = MemoryShelf(), MemoryShelf()
    return JobState(items=item_rows(shelf=items, room=0), dead_letters=letter_rows(shelf=letters, room=0))
