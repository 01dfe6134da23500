"""10,000 live actors exchange messages, one in a hundred crashes and is restarted, in less than 200 MiB.

The memory is the peak of a process of its own. Nothing is lost but what a crash had in hand, and every ask gets an
answer or an error.
"""

import random
import subprocess
import sys
import time
from collections import Counter
from functools import partial

import msgspec
import trio

from stress._inspection import MIB, peak
from stress._report import Report, scaled
from supervisors import (
    Actor,
    ActorDied,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    Intensity,
    Reply,
    Root,
    State,
    Supervisor,
    open_supervisor,
)

KIND = "stress"
ACTORS, BALLS, HOPS, CRASHES, ASKS = 10_000, 1_000, 100, 0.01, 20_000
LIMIT = 200
"""MiB of memory at the peak."""


class Ball(msgspec.Struct, frozen=True):
    """To be passed on so many times."""

    hops: int


class Count(msgspec.Struct, frozen=True):
    """How many balls this incarnation has seen."""

    reply: Reply[int]


class Die(msgspec.Struct, frozen=True):
    """Crash."""


class DeathError(Exception):
    """A crash that was asked for."""


class Player(Actor[Ball | Count | Die]):
    """Passes balls on to anybody."""

    def __init__(self, game: "Game") -> None:
        self.game = game
        self.seen = 0

    async def handle(self, message: Ball | Count | Die) -> None:
        """Pass on, count, or die."""
        match message:
            case Ball(hops):
                self.seen += 1
                self.game.handled += 1
                if hops:
                    self.game.pass_on(Ball(hops - 1))
            case Count(reply):
                reply.send(self.seen)
            case Die():
                raise DeathError


class Game:
    """Ten thousand players and what they have done."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.players: list[ActorRef[Ball | Count | Die]] = []
        self.sent = self.handled = 0
        self.outcomes: Counter[str] = Counter()

    def pass_on(self, ball: Ball) -> None:
        """To anybody; mailboxes have room for all balls there are."""
        self.chance.choice(self.players).tell_nowait(ball)
        self.sent += 1

    async def ask(self, count: int) -> None:
        """Ask anybody, so many times."""
        for _ in range(count):
            try:
                await self.chance.choice(self.players).ask(Count, timeout=None)
                self.outcomes["answered"] += 1
            except ActorDied:
                self.outcomes["died"] += 1

    async def kill(self, count: int) -> None:
        """Crash so many, one in a while."""
        for player in self.chance.sample(self.players, count):
            player.tell_nowait(Die())
            await trio.sleep(0.005)


async def play(report: Report, actors: int) -> None:
    game = Game(report.seed)
    spec = DynamicSupervisorSpec("players", lambda: DynamicSupervisor(intensity=Intensity(10**9, 1)))
    began = time.perf_counter()
    async with open_supervisor(Supervisor([spec])) as root:
        for number in range(actors):
            child = ChildSpec(f"player-{number}", partial(Player, game), capacity=10 * BALLS)
            game.players.append(await spec.ref.start_child(child))
        report.figure(f"{actors} actors started in {time.perf_counter() - began:.2f} s")
        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(scaled(BALLS)):
                game.pass_on(Ball(HOPS))
            for _ in range(100):
                nursery.start_soon(game.ask, scaled(ASKS) // 100)
            nursery.start_soon(game.kill, round(actors * CRASHES))
        while game.handled < game.sent:  # noqa: ASYNC110 - balls set no event
            await trio.sleep(0.01)
        took = time.perf_counter() - began
        judge(report, root, game, actors)
        began = time.perf_counter()
    report.figure(
        f"{game.handled} messages in {took:.1f} s; all stopped in {time.perf_counter() - began:.2f} s"
    )


def judge(report: Report, root: Root, game: Game, actors: int) -> None:
    (players,) = root.tree().children
    restarts = sum(child.restarts for child in players.children)
    running = sum(child.state is State.RUNNING for child in players.children)
    report.law(f"{actors} actors run", holds=running == actors)
    report.law(f"{restarts} restarts", holds=restarts == round(actors * CRASHES))
    report.law(
        f"{game.sent} messages, all handled", holds=game.sent == game.handled == scaled(BALLS) * (HOPS + 1)
    )
    report.law(f"asks: {dict(game.outcomes)}", holds=game.outcomes.total() == scaled(ASKS) // 100 * 100)
    most = peak("self") / MIB
    report.law(f"{most:.0f} MiB at the peak, less than {LIMIT}", holds=most < LIMIT)


def main() -> int:
    """0 if they all lived in their memory; measured in a process of its own."""
    return subprocess.run([sys.executable, "-m", "stress.many_actors"], check=False).returncode


def main_alone() -> int:
    """The check itself."""
    report = Report()
    trio.run(play, report, scaled(ACTORS))
    return report.code


if __name__ == "__main__":
    sys.exit(main_alone())
