"""Random trees of actors crash, hang, finish and are stopped every few milliseconds, watched by a model of OTP.

Most rounds run on a virtual clock and repeat exactly by their seed; one runs on the real clock. Whatever happens, every
ask gets an answer or an error, no message is handled twice, and the tree that is left alone is whole again.
"""

import random
from collections import Counter
from collections.abc import Callable
from functools import partial

import msgspec
import trio
import trio.testing

from stress._inspection import Inspection, inspected
from stress._report import SCALE, Report, scaled
from stress._supervision_model import Model, Path, Phase, Watched
from supervisors import (
    Actor,
    ActorGone,
    ActorRef,
    ActorStopped,
    AnyChild,
    Backoff,
    ChildSpec,
    Intensity,
    MailboxFull,
    Node,
    Reason,
    Reply,
    Restart,
    Root,
    StartFailed,
    State,
    Strategy,
    Supervisor,
    open_supervisor,
)

KIND = "stress"
TREES, VIRTUAL_SECONDS, REAL_SECONDS = 100, 5.0, 60.0
EVERY = 0.004
"""Seconds between two blows, on average."""
ASKERS = 20
QUIET = 1.0
"""Seconds that a tree is left alone, three times, to become whole."""
ANSWER_LIMIT = 60.0
"""Virtual seconds that askers have to learn that the tree is gone."""


ENDLESS = 50_000
"""Starts in one tree, several times more than all blows together can bring about."""


class Work(msgspec.Struct, frozen=True):
    """Say the number."""

    number: int
    reply: Reply[int]


class Blow(msgspec.Struct, frozen=True):
    """Do what the name says."""

    name: str


Order = Work | Blow
BLOWS = ("crash", "crash", "hang", "finish", "refuse to go", "stop", "stop", "stop a supervisor")


class BlowError(Exception):
    """What the actors here die of."""


class EndlessRestarts(BaseException):
    """Somebody is started again and again, without a pause; no error of the actor, since it must end the tree."""


class Victim(Actor[Order]):
    """Works a little; suffers what it is told to."""

    shutdown = 0.05

    def __init__(self, world: "World") -> None:
        self.world = world

    async def started(self) -> None:
        """Take a moment, and sometimes fail."""
        await self.world.linger()
        if self.world.chance.random() < self.world.failing_starts:
            raise BlowError("start")

    async def handle(self, message: Order) -> None:
        """Work, or suffer."""
        match message:
            case Work(number, reply):
                self.world.delivered[number] += 1
                await self.world.linger()
                reply.send(number)
            case Blow("crash"):
                raise BlowError("crash")
            case Blow("hang"):
                await trio.sleep_forever()
            case Blow("finish"):
                self.finish()
            case Blow():
                with trio.CancelScope(shield=True):
                    await trio.sleep(self.world.chance.random() / 4)

    async def stopped(self, reason: Reason) -> None:  # noqa: ARG002 - one end is like the other here
        """Take a moment, and sometimes fail at that."""
        await self.world.linger()
        if self.world.chance.random() < 0.02:
            raise BlowError("clean-up")


class World:
    """One tree, its model, and what happens to it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.failing_starts = 0.0 if seed % 2 else 0.003
        self.delivered: Counter[int] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.asked = 0
        self.specs: dict[Path, AnyChild] = {}
        root, children = self._supervisor("root", depth=0)
        self.model = Model(root)
        self.supervisor = children()

    # The tree

    def _supervisor(self, id: str, depth: int) -> tuple[Watched, Callable[[], Supervisor]]:  # noqa: A002 - the word of the field
        """A random supervisor with all below it, for the model and for real."""
        chance = self.chance
        strategy = chance.choice(list(Strategy)) if depth else Strategy.ONE_FOR_ONE
        limit = (
            Intensity(chance.randrange(6), chance.choice([0.02, 0.1, 1.0]))
            if depth
            else Intensity(10**9, 0.1)
        )
        made = [self._child(f"{'sab'[depth]}{n}", depth + 1) for n in range(chance.randrange(2, 6))]
        restart = Restart.PERMANENT if depth < 2 else chance.choice([Restart.PERMANENT, Restart.TRANSIENT])
        watched = Watched(id, restart, [one for one, _ in made], strategy, limit)
        specs = [spec for _, spec in made]
        return watched, lambda: Supervisor(specs, strategy=strategy, intensity=limit)

    def _child(self, id: str, depth: int) -> tuple[Watched, AnyChild]:  # noqa: A002 - as above
        if depth <= 2 and self.chance.random() < 0.7:
            watched, start = self._supervisor(id, depth)
            spec: AnyChild = ChildSpec(id, partial(self._begin, watched, start), restart=watched.restart)
            return watched, spec
        restart = self.chance.choices(list(Restart), (8, 2, 1))[0]
        watched = Watched(id, restart)
        backoff = Backoff(0.001, maximum=0.1, jitter=0.5) if self.chance.random() < 0.3 else None
        start_victim = partial(self._begin, watched, partial(Victim, self))
        return watched, ChildSpec(
            id, start_victim, restart=restart, capacity=8, backoff=backoff, drain=self.chance.random() < 0.3
        )

    def _begin(self, watched: Watched, start: Callable[[], Actor[Order]]) -> Actor[Order]:
        self.model.began(watched.path, trio.current_time())
        if self.model.seen["began"] > ENDLESS:
            raise EndlessRestarts(f"{watched.path} and others")
        return start()

    async def linger(self) -> None:
        """Take no time, or a little."""
        if self.chance.random() < 0.5:
            await trio.sleep(self.chance.random() / 100)

    # What happens to it

    async def storm(self, seconds: float) -> None:
        """Strike somebody every few milliseconds."""
        end = trio.current_time() + seconds
        paths = [path for path in self.model.watched if len(path) > 1]
        while trio.current_time() < end:
            await trio.sleep(self.chance.expovariate(1 / EVERY))
            self.strike(self.chance.choice(paths), self.chance.choice(BLOWS))

    def strike(self, path: Path, blow: str) -> None:
        """One blow, for those that it is for."""
        watched, place = self.model.watched[path], self.places[path]
        if blow.startswith("stop"):
            if (
                bool(watched.children) is (blow == "stop a supervisor")
                and watched.lives
                and place._place.stop
            ):
                self.model.poked(path)
                place.stop()
        elif not watched.children:
            try:
                place.tell_nowait(Blow(blow))
            except (MailboxFull, ActorStopped) as error:
                self.outcomes[f"blow: {type(error).__name__}"] += 1

    async def ask_on(self) -> None:
        """Ask somebody, and again, until the tree is gone."""
        leaves = [path for path, watched in self.model.watched.items() if not watched.children]
        while not self.is_over:
            self.asked += 1
            number = self.asked
            path = self.chance.choice(leaves)
            try:
                answer = await self.places[path].ask(partial(Work, number), timeout=None)
                assert answer == number
                self.outcomes["answered"] += 1
            except ActorGone as error:
                self.outcomes[type(error).__name__] += 1
            await trio.sleep(0.005)

    async def live(self, seconds: float) -> None:
        """The whole story; what is wrong afterwards is in the model."""
        self.is_over = False
        async with trio.open_nursery() as askers:
            try:
                async with open_supervisor(self.supervisor, listener=self._hear) as root:
                    self.places = refs(root)
                    for _ in range(ASKERS):
                        askers.start_soon(self.ask_on)
                    await self.storm(seconds)
                    await self._heal(root)
                    self.model.root.poked = True
            except StartFailed:
                self.outcomes["trees that failed to start"] += 1
            except EndlessRestarts as error:
                self.model.wrong.append(f"endless restarts of {error}")
            self.is_over = True
            askers.cancel_scope.deadline = trio.current_time() + ANSWER_LIMIT
        if askers.cancel_scope.cancelled_caught:
            self.model.wrong.append("asks are pending although the tree is gone")
        twice = [number for number, times in self.delivered.items() if times > 1]
        if twice:
            self.model.wrong.append(f"messages handled twice: {twice[:10]}")
        outcomes = sum(
            count
            for name, count in self.outcomes.items()
            if name in {"answered", "ActorDied", "ActorStopped"}
        )
        if outcomes != self.asked:
            self.model.wrong.append(f"{self.asked} asked, {outcomes} outcomes")

    async def _heal(self, root: Root) -> None:
        """Leave the tree alone, stop whoever still hangs, and look whether all who should live do."""
        self.failing_starts = 0.0
        for _ in range(3):
            for path, watched in self.model.watched.items():
                if not watched.children and watched.lives:
                    self.strike(path, "stop")
            await trio.sleep(QUIET)
        if not self.virtual:
            return
        for path, node in nodes(root.tree(), ()):
            watched = self.model.watched[path]
            phase = watched.phase if watched.parent and watched.parent.lives else Phase.OUT
            if phase not in {Phase.UP, Phase.OUT} or (phase is Phase.UP) is not (node.state is State.RUNNING):
                self.model.wrong.append(
                    f"left alone, {path} is {node.state.value}, and {phase.name} for the model"
                )

    virtual = True

    def _hear(self, event: object) -> None:
        self.model.event(event, trio.current_time())


def nodes(node: Node, above: Path) -> list[tuple[Path, Node]]:
    """Every actor below a node but itself, by path."""
    here = (*above, node.id)
    found: list[tuple[Path, Node]] = []
    for child in node.children:
        found.append(((*here, child.id), child))
        found += nodes(child, here)
    return found


def refs(root: Root) -> dict[Path, ActorRef[Order]]:
    """Everybody's ref, by path."""
    found: dict[Path, ActorRef[Order]] = {}
    todo = [root._place]
    while todo:
        place = todo.pop()
        found[place.path] = ActorRef(place)
        todo += place.children.values()
    return found


# The check -----------------------------------------------------------------------------------------------------


def main() -> int:
    """0 if every tree behaved as OTP says."""
    report = Report()
    totals: Counter[str] = Counter()
    wrong: list[str] = []
    with inspected(report) as inspection:
        for number in range(scaled(TREES)):
            one_tree(report.seed + number, totals, wrong)
            if number == scaled(TREES) // 5:
                inspection.mark()
        tell(report, f"{scaled(TREES)} trees in virtual time", totals, wrong)
        totals.clear()
        wrong.clear()
        in_real_time(report, totals, wrong, inspection)
        tell(report, "one tree after the other in real time", totals, wrong)
    return report.code


def one_tree(seed: int, totals: Counter[str], wrong: list[str]) -> None:
    """A tree on the virtual clock, the same again for the same seed."""
    schedule(seed)
    world = World(seed)
    trio.run(world.live, VIRTUAL_SECONDS, clock=trio.testing.MockClock(autojump_threshold=0))
    collect(world, seed, totals, wrong)


def in_real_time(report: Report, totals: Counter[str], wrong: list[str], inspection: Inspection) -> None:
    """Trees on the real clock, some seconds each."""
    _ = inspection
    rounds = max(1, round(REAL_SECONDS * SCALE / 10))
    for number in range(rounds):
        world = World(report.seed + number)
        world.virtual = False
        trio.run(world.live, REAL_SECONDS * SCALE / rounds)
        collect(world, report.seed + number, totals, wrong)


def collect(world: World, seed: int, totals: Counter[str], wrong: list[str]) -> None:
    """Add what one tree went through."""
    totals.update(world.outcomes)
    totals.update(world.model.seen)
    totals["asked"] += world.asked
    totals["restarts judged"] += world.model.judged
    wrong += [f"seed {seed}: {text}" for text in world.model.wrong[:3] + world.model.wrong[3:][-2:]]


def tell(report: Report, name: str, totals: Counter[str], wrong: list[str]) -> None:
    report.figure(f"{name}: {', '.join(f'{what} {count}' for what, count in sorted(totals.items()))}")
    report.law(
        f"{name}: supervision as OTP has it, every ask answered, nothing handled twice", "\n".join(wrong[:10])
    )


def schedule(seed: int) -> None:
    """Have trio choose among tasks that are ready by our seed, or a seed would repeat nothing."""
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True
    trio._core._run._r = random.Random(seed)
    random.seed(seed)  # for the jitter of pauses
