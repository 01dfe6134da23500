"""What a live run consists of at this moment: its actors by its own word, its processes by the machine's."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct

from prodigy.events import Phase
from prodigy.job.agents_at_work import AgentAtWork, agents_at_work
from prodigy.job.state import JobState
from prodigy.job.summary import JobSummary, lived, summarize
from prodigy.job.waiting import Waits
from prodigy.store.control import ActorStanding, Standing, ask
from prodigy.store.locks import Holder
from prodigy.store.runs import Run, load_state
from supervisors import ProcessSample, below

Table = Mapping[int, ProcessSample]


class Load(Struct, frozen=True, kw_only=True):
    """What some processes take: CPU seconds up to now, those of descendants that have ended included; bytes of memory."""

    cpu_s: float = 0.0
    rss: int = 0
    processes: int = 0

    @classmethod
    def of(cls, processes: Collection[ProcessSample]) -> "Load":
        """Of these processes together."""
        return cls(
            cpu_s=round(sum(process.cpu_time + process.buried for process in processes), 2),
            rss=sum(process.memory for process in processes),
            processes=len(processes),
        )


class AgentProcesses(Struct, frozen=True, kw_only=True):
    """An agent, or a phase that is none, and the processes of its step."""

    agent_id: str | None
    item_id: str | None
    text: str | None
    phase: Phase
    attempt: int
    step: str | None
    name: str | None
    pid: int | None
    elapsed_ms: int | None
    idle_ms: int | None
    """Since its steps last printed anything; ``None`` if they have not."""
    waits: Waits | None
    """What it waits for, if it is not at work."""
    load: Load


class WorkerProcess(Struct, frozen=True, kw_only=True):
    """A worker process; ``load`` is its own, with what it keeps for itself, and not that of its agents' steps."""

    number: int
    pid: int
    load: Load
    agents: list[AgentProcesses]


class RunProcesses(Struct, frozen=True, kw_only=True):
    """A live run. Where it did not answer, ``source`` is ``journal`` and nothing is known of its actors."""

    run: JobSummary
    pid: int
    source: Literal["socket", "journal"]
    seq: int
    load: Load
    """Of the program itself."""
    actors: list[ActorStanding]
    workers: list[WorkerProcess]
    agents: list[AgentProcesses]
    """Those of which is not known which worker has them."""


class PsDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.ps/1``: live runs, newest first."""

    schema: str = "prodigy.ps/1"
    runs: list[RunProcesses]


def processes_of(run: Run, holder: Holder, table: Table, now: datetime) -> RunProcesses:
    """Everything of a run that ``holder`` works at; ``table`` holds the processes of the machine.

    Raises:
        RunError: ``journal-corrupt`` or ``journal-newer``.
    """
    standing = ask(run.layout.control_socket(run.job_id))
    state = load_state(run)
    agents = agents_at_work(state)
    workers = _workers(state, standing, table)
    placed = {agent.job: _place(agent, workers, table) for agent in agents}
    views = {agent.job: _agent(agent, run, table, now) for agent in agents}
    owned = {pid for agent in agents for pid in _roots(agent, table)}
    return RunProcesses(
        run=lived(summarize(state, run.repo), holder.pid),
        pid=holder.pid,
        source="journal" if standing is None else "socket",
        seq=state.seq if standing is None else standing.seq,
        load=Load.of(_known(table, [holder.pid])),
        actors=[] if standing is None else standing.tree.children,
        workers=[
            WorkerProcess(
                number=number,
                pid=pid,
                load=_own(pid, owned, table),
                agents=[views[job] for job, where in placed.items() if where == number],
            )
            for number, (pid, _) in sorted(workers.items())
        ],
        agents=[views[job] for job, where in placed.items() if where is None],
    )


Workers = dict[int, tuple[int, tuple[str, ...]]]
"""Pids by number, and what each says that it has."""


def _workers(state: JobState, standing: Standing | None, table: Table) -> Workers:
    if standing is not None:
        return {one.number: (one.pid, one.agents) for one in standing.workers}
    return {number: (pid, ()) for number, pid in state.workers.items() if pid in table}


def _place(agent: AgentAtWork, workers: Workers, table: Table) -> int | None:
    """The worker that has an agent: by its own word, else by whom the agent's processes descend from."""
    for number, (_, jobs) in workers.items():
        if agent.job in jobs:
            return number
    roots = _roots(agent, table)
    for number, (pid, _) in workers.items():
        if any(process.pid in roots for process in below(table, {pid})):
            return number
    return None


def _roots(agent: AgentAtWork, table: Table) -> list[int]:
    """The processes of its steps that live, and are those that were recorded."""
    return [
        one.pid
        for one in agent.processes
        if one.pid in table and table[one.pid].key == (one.pid, one.start_time)
    ]


def _agent(agent: AgentAtWork, run: Run, table: Table, now: datetime) -> AgentProcesses:
    roots = _roots(agent, table)
    return AgentProcesses(
        agent_id=agent.agent_id,
        item_id=agent.item_id,
        text=agent.text,
        phase=agent.phase,
        attempt=agent.attempt,
        step=agent.step,
        name=agent.name,
        pid=roots[0] if roots else None,
        elapsed_ms=_milliseconds(now.timestamp() - agent.began.timestamp()) if agent.began else None,
        idle_ms=_idle(run.layout.step_logs(run.job_id, agent.phase, agent.item_id, agent.attempt), now),
        waits=agent.waits,
        load=Load.of([*_known(table, roots), *below(table, set(roots))]),
    )


def _own(pid: int, owned: Collection[int], table: Table) -> Load:
    """A worker without the trees of its agents' steps: itself, its zygote and its reapers."""
    everything = [*_known(table, [pid]), *below(table, {pid})]
    theirs = {process.pid for process in below(table, set(owned))} | set(owned)
    return Load.of([process for process in everything if process.pid not in theirs])


def _known(table: Table, pids: Collection[int]) -> list[ProcessSample]:
    return [table[pid] for pid in pids if pid in table]


def _idle(logs: Path, now: datetime) -> int | None:
    latest = max(_written(logs), default=None)
    return None if latest is None else _milliseconds(now.timestamp() - latest)


def _written(logs: Path) -> Iterator[float]:
    """When each log of an attempt was written to last, as seconds since the epoch; none where nothing was."""
    try:
        for log in logs.iterdir():
            status = log.stat()
            if status.st_size:
                yield status.st_mtime
    except OSError:
        return


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
