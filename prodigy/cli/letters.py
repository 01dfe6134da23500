"""What the verbs of the dead letter queue share: whose items are meant, and an item as a card."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import Annotated

from cyclopts import Parameter

from prodigy.cli.here import has_dead_letters, repository_here, run_called
from prodigy.cli.invocation import Invocation
from prodigy.cli.options import ARGUMENTS_GROUP
from prodigy.cli.printer import Part, Span
from prodigy.cli.text import counted, duration, home_short, local_time
from prodigy.errors import UsageError
from prodigy.ids import tail_of
from prodigy.job.items import named
from prodigy.job.state import JobState
from prodigy.store.documents import DeadLetterView, FailureDetail, LegacyLetter
from prodigy.store.legacy import legacy_letters
from prodigy.store.runs import Run, load_state, with_dead_letters

NAMES = ("--job", "--job-id", "--workflow-id")
Job = Annotated[str, Parameter(name=NAMES, group=ARGUMENTS_GROUP)]
JobOption = Annotated[str | None, Parameter(name=NAMES, group=ARGUMENTS_GROUP)]
JobFlag = Annotated[str | None, Parameter(name=NAMES)]

_OUTPUT_LINES = 5


def jobs(
    job: str | None, invocation: Invocation, *, all_repos: bool = False
) -> Iterator[tuple[Run, JobState]]:
    """The job that is named, else every one of the repository that has dead letters."""
    if job is None:
        yield from with_dead_letters(invocation.storage, repository_here(invocation, all_repos=all_repos))
    else:
        run = run_called(job, invocation, has_dead_letters)
        yield run, load_state(run)


def job_with(item: str, job: str | None, invocation: Invocation) -> tuple[Run, JobState]:
    """The job in whose queue an item is.

    Raises:
        UsageError: ``item-not-found``; ``ambiguous-id``: it is in several, or its name is not enough.
    """
    found: list[tuple[Run, JobState]] = []
    missing: UsageError | None = None
    for run, state in jobs(job, invocation):
        try:
            named(state, [item])
        except UsageError as error:
            if error.code != "item-not-found":
                raise
            missing = missing or error
        else:
            found.append((run, state))
    if len(found) == 1:
        return found[0]
    if not found:
        raise missing or UsageError("item-not-found", "No item is in the dead letter queue")
    raise UsageError(
        "ambiguous-id",
        f"`{item}` is in the queues of {len(found)} runs",
        note=", ".join(run.job_id for run, _ in found),
        hint="name the run with `--job-id`",
    )


def of_older_program(job: str, items: Sequence[str], invocation: Invocation) -> list[LegacyLetter]:
    """The items of a run of an older program; all of them, or those that are named."""
    found = legacy_letters(invocation.storage, None, job)
    return [letter for letter in found if not items or letter.item_id in items]


def cards(
    views: Sequence[DeadLetterView], home: str | None, zone: tzinfo | None
) -> Iterator[tuple[Part, ...]]:
    """Items as people read them."""
    for position, view in enumerate(views):
        if position:
            yield ()
        yield from _card(view, home, zone)


def _card(item: DeadLetterView, home: str | None, zone: tzinfo | None) -> Iterator[tuple[Part, ...]]:
    heal = "may heal by itself" if item.reprocess_eligible else "needs a change"
    yield (
        Span(item.text, "strong"),
        Span(f"  {item.item_id}  #{item.index}  of {tail_of(item.job_id)}", "dim"),
    )
    yield (f"  {counted(item.failure_count, 'failed attempt')}, {heal}, signature {item.error_signature}",)
    for attempt in item.failure_history:
        yield from _attempt(attempt, home, zone)


def _attempt(attempt: FailureDetail, home: str | None, zone: tzinfo | None) -> Iterator[tuple[Part, ...]]:
    step = f"step {attempt.step_failed}" if attempt.step_failed else attempt.phase
    how = f"exit {attempt.exit_code}" if attempt.exit_code is not None else attempt.error_type
    facts = f"{local_time(attempt.timestamp, zone)}  {step}  {how}  {duration(attempt.duration_ms / 1000)}"
    yield Span(f"  attempt {attempt.attempt_number}", "accent"), f"  {facts}"
    yield (Span(f"    {attempt.error_message}", "bad"),)
    output = (attempt.stderr_tail or attempt.stdout_tail).rstrip().splitlines()
    yield from ((Span(f"    | {line}", "dim"),) for line in output[-_OUTPUT_LINES:])
    yield from ((f"    log: {home_short(log, home)}",) for log in attempt.logs)
    if attempt.json_log_location:
        yield (f"    Claude log: {home_short(attempt.json_log_location, home)}",)
    if attempt.rescue_ref:
        yield (f"    unmerged work: git switch -c saved {attempt.rescue_ref}",)
