"""Break a tree and watch it heal; then break it for good.

    python examples/supervision/healing.py

Look at: the order of stops and starts (a crash of the cache takes down what was started after it, and nothing else),
the refs that stay valid, and the supervisor that gives up when healing does not help.
"""

import msgspec
import trio

from supervisors import (
    Actor,
    ChildDown,
    ChildRestarted,
    ChildSpec,
    ChildStarted,
    Escalated,
    Intensity,
    Reply,
    RestartIntensityExceeded,
    Strategy,
    Supervisor,
    TreeEvent,
    open_supervisor,
)


class Break(msgspec.Struct):
    """Told: raise something."""


class Greet(msgspec.Struct):
    """Asked: are you there?"""

    reply: Reply[str]


class Service(Actor[Break | Greet]):
    """Catches nothing: what it does not expect is its supervisor's business."""

    async def handle(self, message: Break | Greet) -> None:
        """Raise or greet."""
        match message:
            case Break():
                raise ZeroDivisionError("as told")
            case Greet(reply):
                reply.send(f"the {self.ref.id} is here")


def narrate(event: TreeEvent) -> None:
    """Print what happens in the tree, as it happens."""
    match event:
        case ChildStarted(path) | ChildRestarted(path):
            print("  +", path[-1])
        case ChildDown(path, reason):
            print("  -", path[-1], f"({reason})")
        case Escalated(path, child):
            print("  !", path[-1], "gives up on", child)


async def main() -> None:
    """Crash the cache once, and once more than its supervisor accepts."""
    database, cache, web = (ChildSpec(name, Service) for name in ("database", "cache", "web"))
    family = Supervisor([database, cache, web], strategy=Strategy.REST_FOR_ONE, intensity=Intensity(1, 60))
    try:
        async with open_supervisor(family, listener=narrate):
            with web.ref.monitor() as downs:
                await cache.ref.tell(Break())
                await anext(downs)
            print("  >", await web.ref.ask(Greet))  # asked of the next one, up or not
            await cache.ref.tell(Break())
            await trio.sleep_forever()
    except RestartIntensityExceeded as error:
        print(f"the block was left: {error}; the cause: {error.__cause__!r}")


if __name__ == "__main__":
    trio.run(main)
