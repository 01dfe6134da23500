"""A job of Claude launches whose processes are killed by a seeded plan, and its bill against the ledger of the server.

The plan counts requests: when so many have come, a CLI, a worker or the coordinator gets a signal, before the reply
is sent or a moment after it. Whoever has no coordinator any more is taken up again, until the job is done.
"""

import json
import random
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from fakes.messages_api import MessagesApi, Reply, Request, Scenario, Usage, bash
from worlds import World, eventually, told_of

from prodigy.store.locks import start_time
from supervisors.recovery import LinuxMachine

if TYPE_CHECKING:
    import subprocess

Victim = Literal["claude", "worker", "coordinator"]
REPLIES = 3
"""Of a conversation that nobody disturbs."""
PARALLEL = 3
LIVES = 12
"""Processes that may work at the job, one after the other."""
EXACT = 1e-9
"""US dollars: less is what adding binary fractions leaves behind."""
LATER = (0.0, 0.05, 0.4)
"""Seconds between a request and the signal; with none the reply is charged for and never arrives."""


class Blow(NamedTuple):
    """One signal of the plan."""

    victim: Victim
    sent: signal.Signals
    later: float


def planned(chance: random.Random, items: int, blows: int) -> dict[int, Blow]:
    """Blows by the number of the request that they come with."""
    numbers = chance.sample(range(1, items * REPLIES + 1), blows)
    victims: tuple[Victim, ...] = ("claude", "claude", "worker", "coordinator")
    return {number: _blow(chance, chance.choice(victims)) for number in numbers}


def _blow(chance: random.Random, victim: Victim) -> Blow:
    signals = [signal.SIGTERM, signal.SIGKILL]
    if victim != "worker":
        signals.append(signal.SIGINT)
    return Blow(victim, chance.choice(signals), chance.choice(LATER))


@dataclass
class Job:
    """One job in a user's world, with an API that has a price for each reply."""

    world: World
    api: MessagesApi
    items: int
    plan: dict[int, Blow]
    chance: random.Random
    struck: list[Blow] = field(default_factory=list)
    dearest: float = 0.0
    """US dollars of the most expensive reply."""
    _requests: int = 0
    _process: "subprocess.Popen[str] | None" = None

    def play(self) -> dict[str, Any]:
        """Run it to its end, whatever happens; its report."""
        self.api["work"] = Scenario([self._reply] * REPLIES, by_turn=True)
        work = {"claude": "[[work]] ${item}"}
        phase = {
            "input": {"list": [f"i{number}" for number in range(self.items)]},
            "max_parallel": PARALLEL,
            "agent_template": [work],
        }
        policy = {"retry_config": {"attempts": LIVES, "backoff": "fixed", "initial_delay": "10ms"}}
        flow = json.dumps({"mode": "mapreduce", "grace": "1s", "map": phase, "error_policy": policy})
        path = self.world.workflow(flow)
        words = ["run", path]
        for _ in range(LIVES):
            self._process = self.world.start(*words, "-y", "--json")
            said, complaint = self._process.communicate(timeout=300)
            if self._process.returncode == 0:
                report: dict[str, Any] = json.loads(said)
                return report
            assert self._process.returncode in {-9, 130, 143}, complaint
            words = ["resume", "latest"]
        raise AssertionError("the job came to no end")

    def _reply(self, request: Request) -> Reply:
        self._requests += 1
        usage = Usage(*(self.chance.randrange(most) for most in (20_000, 3000, 40_000, 4000)))
        self.dearest = max(self.dearest, usage.cost(request.model))
        blow = self.plan.get(self._requests)
        if blow is not None:
            strike = self._striking(blow, request)
            if blow.later:
                threading.Timer(blow.later, strike).start()
            else:
                strike()
        last = request.turn >= REPLIES - 1
        return Reply("On.", () if last else [bash(f"echo {request.turn} >> {request.session}.txt")], usage)

    def _striking(self, blow: Blow, request: Request) -> Callable[[], None]:
        """Give the blow to whoever is behind the request."""
        process = self._process
        assert process is not None

        def strike() -> None:
            if blow.victim == "coordinator":
                if process.poll() is None:
                    process.send_signal(blow.sent)
                    self.struck.append(blow)
                return
            spawned = eventually(lambda: self._spawned(request.session), 30)
            key = (spawned["pid"], spawned["start_time"])
            if blow.victim == "worker":
                key = (spawned["worker"], self._began(spawned["worker"]))
            if LinuxMachine().signal(key, blow.sent):
                self.struck.append(blow)

        return strike

    def _began(self, pid: int) -> int:
        """When a process of this world started; 0 if it is gone, and its number with somebody else."""
        began = start_time(pid)
        return began if began is not None and pid in told_of(self.world.folder) else 0

    def _spawned(self, session: str) -> dict[str, Any] | None:
        launches = (
            event for event in self._recorded("step_spawned") if event.get("claude_session") == session
        )
        return next(reversed(list(launches)), None)

    def _recorded(self, kind: str) -> Iterator[dict[str, Any]]:
        """What is recorded by now; a line that is being written is passed over."""
        *_, newest = self.world.journals()
        for line in newest.read_text().splitlines():
            with suppress(json.JSONDecodeError):
                event = json.loads(line)["event"]
                if event["event_type"] == kind:
                    yield event


def objections(job: Job, report: dict[str, Any]) -> list[str]:
    """What speaks against the laws of the ledger, in words."""
    uses = [event["claude"] for event in job.world.events() if event.get("claude")]
    billed: defaultdict[str, float] = defaultdict(float)
    cut_off: Counter[str] = Counter()
    for use in uses:
        billed[use["session_id"]] += use.get("cost_usd", 0.0)
        cut_off[use["session_id"]] += use.get("estimated", False)
    found: list[str] = []
    for session in job.api.sessions() | billed.keys():
        missing, killed = job.api.cost(session) - billed[session], cut_off[session]
        if abs(missing) > killed * job.dearest + EXACT:
            found.append(
                f"{session}: {missing:+.6f} USD are not billed, of {killed} launches that were cut off"
            )
    estimated = sum(use.get("cost_usd", 0.0) for use in uses if use.get("estimated"))
    cost = report["cost"]
    if abs(cost["usd"] - sum(billed.values())) > EXACT or abs(cost["estimated_usd"] - estimated) > EXACT:
        found.append(
            f"the report says {cost['usd']} USD, {cost['estimated_usd']} of it estimated, of {estimated}"
        )
    if abs(cost["usd"] - sum(one["usd"] for one in cost["by_model"])) > EXACT:
        found.append(f"the models do not add up: {cost['by_model']}")
    if (report["status"], report["items"]["done"]) != ("completed", job.items):
        found.append(f"{report['status']}: {report['items']['done']} of {job.items}")
    if cost["launches"] > job.items + sum(cut_off.values()) + _unfit(job):
        found.append(f"{cost['launches']} launches, {sum(cut_off.values())} of them cut off")
    return found


def _unfit(job: Job) -> int:
    """Launches that had succeeded and were passed over."""
    return sum("unfit" in event for event in job.world.events("claude_cut_off"))
