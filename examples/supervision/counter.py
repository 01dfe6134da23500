"""The smallest supervised program: one actor, told and asked.

    python examples/supervision/counter.py

Look at: state that belongs to one task only, messages as types, an answer that comes back typed, and a tree that is
up when the block begins and down when it ends.
"""

import msgspec
import trio

from supervisors import Actor, ChildSpec, Reply, Supervisor, open_supervisor


class Add(msgspec.Struct):
    """Told: nobody waits for it."""

    amount: int


class Read(msgspec.Struct):
    """Asked: the reply, always the last field, takes the answer back."""

    reply: Reply[int]


class Counter(Actor[Add | Read]):
    """Handles one message at a time, so it needs no lock."""

    def __init__(self) -> None:
        self.total = 0

    async def handle(self, message: Add | Read) -> None:
        """Count, or say how far we are."""
        match message:
            case Add(amount):
                self.total += amount
            case Read(reply):
                reply.send(self.total)


async def main() -> None:
    """Count to 42."""
    counter = ChildSpec("counter", Counter)
    async with open_supervisor(Supervisor([counter])):
        for amount in (1, 2, 39):
            await counter.ref.tell(Add(amount))
        print("total:", await counter.ref.ask(Read))


if __name__ == "__main__":
    trio.run(main)
