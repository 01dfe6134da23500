"""Trying again what failed for good in a run of an older program: a new run, whose items are those.

Of that run there is no journal, no branch and no workflow any more, so it takes a workflow that is there. The new run
names what it took for its items; from then on the queue holds them no more, and what becomes of them is told there.
"""

from collections.abc import Sequence

import msgspec
import trio

from prodigy.actors.finish import Answer
from prodigy.actors.launch import Source
from prodigy.cli.invocation import Invocation
from prodigy.cli.planned import show_plan
from prodigy.cli.reading import read_workflow
from prodigy.cli.retry import Wanted
from prodigy.cli.start import Start
from prodigy.cli.text import counted
from prodigy.errors import UsageError
from prodigy.job.overrides import Overrides, overridden
from prodigy.store.documents import LegacyLetter
from prodigy.workflow.model import MapInput, MapPhase


def retry_older(
    invocation: Invocation,
    letters: Sequence[LegacyLetter],
    wanted: Wanted,
    merge: Answer | None,
    *,
    strict: bool,
    dry_run: bool,
) -> int:
    """Run the agents of a workflow for these items; the exit code is the run's.

    Raises:
        UsageError: ``dlq-no-template``: no workflow is named; ``workflow-mismatch``: it is none for items;
            ``conflicting-flags``: they ask for what is not known of items of older programs; and what ``run`` raises.
    """
    job = letters[0].job_id
    if wanted.workflow is None:
        raise UsageError(
            "dlq-no-template",
            f"`{job}` is a run of an older program, and its workflow is not known",
            hint=f"name one: `prodigy dlq retry {job} --workflow FILE`",
        )
    _refuse_unknown(wanted)
    reading = read_workflow(wanted.workflow, invocation, {}, strict=strict)
    workflow = reading.source.workflow
    if workflow.map is None:
        raise UsageError(
            "workflow-mismatch",
            f"`{wanted.workflow}` has no map phase",
            hint="items are tried again by the agents of a `mode: mapreduce` workflow",
        )
    phase = _for_items(workflow.map, letters)
    source = Source(msgspec.structs.replace(workflow, map=phase), reading.source.path, reading.source.sha256)
    flags = Overrides(
        max_parallel=wanted.max_parallel,
        attempts=wanted.attempts,
        model=wanted.model,
        budget=wanted.budget,
    )
    if dry_run:
        shown = msgspec.structs.replace(source, workflow=overridden(source.workflow, flags))
        show_plan(invocation, shown, reading.loaded)
        return 0
    invocation.printer.note(f"a new run takes over {counted(len(letters), 'item')} of {job}")
    older = tuple(letter.name for letter in letters)
    reading = msgspec.structs.replace(reading, source=source)
    start = Start(invocation, reading, merge, strict=strict, flags=flags, agent=wanted.agent, older=older)
    return trio.run(start.run)


def _refuse_unknown(wanted: Wanted) -> None:
    for flag, given in (
        ("--filter", wanted.choice.filter is not None),
        ("--eligible", wanted.choice.eligible),
        ("--reduce", wanted.reduce),
        ("--force", wanted.force),
    ):
        if given:
            raise UsageError(
                "conflicting-flags",
                f"`{flag}` has no meaning for items of an older program",
                hint="choose items with `--item`",
            )


def _for_items(phase: MapPhase, letters: Sequence[LegacyLetter]) -> MapPhase:
    """The phase over exactly these items."""
    return msgspec.structs.replace(
        phase,
        input=MapInput(source="list", items=tuple(letter.item for letter in letters)),
        json_path="",
        filter=None,
        sort_by="",
        distinct="",
        offset=0,
        max_items=None,
    )
