"""The processes of live runs as people read them: rows, or the supervision tree of one.

Pure.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from prodigy.cli.printer import Column, Part, Span
from prodigy.cli.processes import AgentProcesses, Load, RunProcesses, WorkerProcess
from prodigy.cli.text import counted, duration
from prodigy.job.summary import JobSummary
from prodigy.job.waiting import Waits
from prodigy.store.control import ActorStanding

COLUMNS = (
    Column("run"),
    Column("what", elastic=True),
    Column("pid", right=True),
    Column("step", elastic=True),
    Column("for", right=True),
    Column("CPU", right=True),
    Column("memory", right=True),
    Column("idle", right=True),
)
Row = tuple[Part, ...]

_STEP = 1024
_MEANT = {"quota": "the API", "budget": "money that others may need", "turn": "its turn"}
_HOSTS = "hosts"
"""The actor that keeps the workers."""


class Twig(NamedTuple):
    """A line of a tree, and what hangs below it."""

    parts: Row
    below: tuple["Twig", ...] = ()


# -- rows ----------------------------------------------------------------------------------------------------------
def rows(one: RunProcesses) -> Iterator[Row]:
    """The program, its workers and under each its agents."""
    tail = Span(one.run.tail, "strong")
    yield tail, f"{one.run.workflow}  {_where(one.run)}", str(one.pid), "", "", *_loaded(one.load), ""
    for worker in one.workers:
        yield tail, f"worker {worker.number}", str(worker.pid), "", "", *_loaded(worker.load), ""
        yield from (_row(tail, agent) for agent in worker.agents)
    yield from (_row(tail, agent) for agent in one.agents)


def _row(tail: Span, agent: AgentProcesses) -> Row:
    again = f"  attempt {agent.attempt}" if agent.attempt > 1 else ""
    return (
        tail,
        f"  {agent.text or agent.phase}{again}",
        "" if agent.pid is None else str(agent.pid),
        _step(agent),
        _time(agent.elapsed_ms),
        *_loaded(agent.load),
        _time(agent.idle_ms),
    )


def _loaded(load: Load) -> tuple[str, str]:
    return (duration(load.cpu_s), _memory(load.rss)) if load.processes else ("", "")


def _time(milliseconds: int | None) -> str:
    return "" if milliseconds is None else duration(milliseconds / 1000)


def _memory(size: int) -> str:
    return f"{size / _STEP / _STEP:,.0f} MiB"


def _step(agent: AgentProcesses) -> str:
    if agent.waits is not None:
        return _waits(agent.waits)
    return f"{agent.step} {agent.name or ''}".strip() if agent.step else "starting"


def _waits(waits: Waits) -> str:
    since = "" if waits.since is None else f" since {waits.since.astimezone():%H:%M}"
    until = "" if waits.until is None else f", until {waits.until.astimezone():%H:%M}"
    return f"waits for {_MEANT[waits.what]}{since}{until}"


def _where(run: JobSummary) -> str:
    short = f", waits for {run.short_of}" if run.short_of is not None else ""
    return f"{_progress(run)}{short}"


def _progress(run: JobSummary) -> str:
    if run.phase == "map" and run.items.total:
        return f"map {run.items.done + run.items.failed + run.items.skipped}/{run.items.total}"
    return run.phase or run.status


# -- a tree --------------------------------------------------------------------------------------------------------
def tree(one: RunProcesses, *, ascii_only: bool) -> Iterator[Row]:
    """The supervision tree, with the workers below the actor that keeps them and the agents below those."""
    mark = "" if one.source == "socket" else "  ? (gives no answer; by its journal)"
    yield (
        Span("run ", "dim"),
        Span(one.run.tail, "strong"),
        f"  {one.run.workflow}  pid {one.pid}  {_taken(one.load)}",
        Span(mark, "warning"),
    )
    signs = ("|- ", "`- ", "|  ", "   ") if ascii_only else ("├─ ", "└─ ", "│  ", "   ")
    yield from _drawn(list(_twigs(one)), "", signs)


def _drawn(twigs: Sequence[Twig], before: str, signs: tuple[str, str, str, str]) -> Iterator[Row]:
    between, last, beside, under = signs
    for number, twig in enumerate(twigs, 1):
        end = number == len(twigs)
        yield Span(before + (last if end else between), "dim"), *twig.parts
        yield from _drawn(twig.below, before + (under if end else beside), signs)


def _twigs(one: RunProcesses) -> Iterator[Twig]:
    workers = tuple(_worker(worker) for worker in one.workers)
    for actor in one.actors:
        yield _actor(actor, one, workers)
    if not any(actor.name == _HOSTS for actor in one.actors):
        yield from workers
    yield from (Twig(_told(agent)) for agent in one.agents)


def _actor(actor: ActorStanding, one: RunProcesses, workers: tuple[Twig, ...]) -> Twig:
    odd = (
        Span(f"  {actor.state}", "warning") if actor.state != "running" else "",
        f"  {counted(actor.mailbox, 'message')} waiting" if actor.mailbox else "",
        Span(f"  restarted {counted(actor.restarts, 'time')}", "warning") if actor.restarts else "",
        Span(f"  after {actor.last_error}", "bad") if actor.last_error else "",
    )
    children = tuple(_actor(child, one, ()) for child in actor.children)
    own = workers if actor.name == _HOSTS else ()
    fact = Span(_fact(actor.name, one), "dim")
    return Twig((Span(actor.name, "accent"), fact, *odd), (*own, *children))


def _fact(name: str, one: RunProcesses) -> str:
    """What is known of an actor beyond its own state."""
    items = one.run.items
    if name == "recorder":
        return f"  record {one.seq}"
    if name == "merger" and items.merging:
        return f"  {items.merging} to merge"
    if name == "phase-map":
        return f"  {_progress(one.run).removeprefix('map ')}"
    return ""


def _worker(worker: WorkerProcess) -> Twig:
    parts = (Span(f"worker {worker.number}", "accent"), f"  pid {worker.pid}  {_taken(worker.load)}")
    return Twig(parts, tuple(Twig(_told(agent)) for agent in worker.agents))


def _told(agent: AgentProcesses) -> Row:
    pid = "" if agent.pid is None else f"  pid {agent.pid}"
    load = f"  {_taken(agent.load)}" if agent.load.processes else ""
    idle = "" if agent.idle_ms is None else f"  idle {_time(agent.idle_ms)}"
    name = agent.agent_id or agent.phase
    text = f" {agent.text}" if agent.text else ""
    return (
        Span(name, "strong"),
        f"{text}  step {_step(agent)}{pid}  {_time(agent.elapsed_ms)}{load}",
        Span(idle, "dim"),
    )


def _taken(load: Load) -> str:
    return f"{_memory(load.rss)}  {duration(load.cpu_s)} CPU" if load.processes else ""
