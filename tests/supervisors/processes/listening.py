"""Who hears what the jobs of `programs` say."""

import trio
from programs import Message, Number, Sum


class Listener:
    """Remembers what it is told, and answers with the sum of it."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.news = trio.Event()

    async def __call__(self, message: Message) -> int | None:
        if isinstance(message, Sum):
            return sum(heard.value for heard in self.heard if isinstance(heard, Number))
        self.heard.append(message)
        self.news.set()
        return None
