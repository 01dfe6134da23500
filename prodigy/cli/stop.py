"""Ending live runs: which ones are meant, and what became of them."""

from collections.abc import Sequence

import msgspec
import trio

from prodigy.actors.stopping import Manner, Outcome, stop
from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Invocation
from prodigy.errors import RunError, UsageError
from prodigy.store.locks import Holder, this_process
from prodigy.store.runs import LATEST, Run, all_runs, run_holder, summary


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one run: ``stopped``, ``killed``, ``not-running`` or ``still-running``; ``next`` takes it up again."""

    what: str
    result: Outcome
    detail: str | None = None
    pid: int | None = None
    next: str | None = None


class StopDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.stop/1"):
    """``prodigy.stop/1``."""

    stops: list[Stopped]


Held = tuple[Run, Holder | None]


def stop_runs(
    invocation: Invocation, name: str | None, *, every: bool, manner: Manner, patience: float | None
) -> int:
    """End the run that is meant, or every one of this home; 1 if one of several did not end.

    Args:
        invocation: who asks.
        name: any id of the run; ``None`` for the only one that runs in this repository.
        every: every run of every repository instead.
        manner: how.
        patience: seconds to wait for each; ``None``: its grace and a little more.

    Raises:
        UsageError: ``run-not-found``, ``ambiguous-run``.
        RunError: ``still-running``: the one that was meant.
    """
    invocation.printer.outlive_reader()
    meant = _held(invocation, None) if every else _meant(invocation, name)
    stops = trio.run(_stop_all, meant, invocation, manner, patience)
    if not every and stops and stops[0].result == "still-running":
        raise _still_running(stops[0])
    _tell(invocation, stops)
    return 1 if any(stopped.result == "still-running" for stopped in stops) else 0


def _meant(invocation: Invocation, name: str | None) -> list[Held]:
    if name not in {None, LATEST}:
        run = run_called(name, invocation)
        return [(run, run_holder(run))]
    found = _held(invocation, repository_here(invocation, all_repos=False))
    if name is None and len(found) > 1:
        raise UsageError(
            "ambiguous-run",
            "Several runs are running",
            note="\n".join(f"{run.session_id}  {whom}" for run, whom in found),
            hint=f"name one, or take the newest with `prodigy stop {LATEST}`, or all with `prodigy stop --all`",
        )
    return found[:1]


def _held(invocation: Invocation, repo: str | None) -> list[Held]:
    found = ((run, run_holder(run)) for run in all_runs(invocation.storage, repo))
    return [(run, whom) for run, whom in found if whom is not None]


async def _stop_all(
    meant: Sequence[Held], invocation: Invocation, manner: Manner, patience: float | None
) -> list[Stopped]:
    by = this_process(invocation.around.now(), invocation.argv)
    stops: dict[int, Stopped] = {}

    async def one(place: int, run: Run, whom: Holder | None) -> None:
        outcome = await stop(run, whom, by, manner, patience) if whom is not None else "not-running"
        stops[place] = _stopped(run, whom, outcome)

    async with trio.open_nursery() as nursery:
        for place, (run, whom) in enumerate(meant):
            nursery.start_soon(one, place, run, whom)
    return [stops[place] for place in range(len(meant))]


def _stopped(run: Run, whom: Holder | None, outcome: Outcome) -> Stopped:
    pid = whom.pid if whom is not None else None
    if outcome == "still-running":
        return Stopped(what=run.session_id, result=outcome, detail=f"held by {whom}", pid=pid)
    known = summary(run)
    return Stopped(
        what=run.session_id,
        result=outcome,
        detail=known.status if known is not None else None,
        pid=pid,
        next=known.next if known is not None else None,
    )


def _still_running(stopped: Stopped) -> RunError:
    return RunError(
        "still-running",
        f"`{stopped.what}` has not ended yet",
        note=stopped.detail,
        hint="`--now` gives its steps no time, `--kill` ends the program itself, `--wait` waits for longer",
    )


def _tell(invocation: Invocation, stops: list[Stopped]) -> None:
    printer = invocation.printer
    printer.document(StopDocument(stops))
    if not stops:
        printer.line("Nothing is running")
    for stopped in stops:
        status = f"  {stopped.detail}" if stopped.detail is not None else ""
        printer.line(f"{stopped.result.ljust(13)}  {stopped.what}{status}")
        if stopped.next is not None:
            printer.line(f"next           {stopped.next}")
