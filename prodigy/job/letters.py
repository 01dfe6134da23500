"""The dead letter queue in the fold: items enter it, are tried again, and leave it.

Pure. A retry is the map phase once more, over items of the queue: they are pending again and have nothing counted
against them, yet stay in the queue until they are done. A retry that stopped early leaves those that it did not start as
they were before it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from prodigy import events
from prodigy.events import Attempt, Failure, Phase, Record
from prodigy.job.money import begin_clock
from prodigy.job.moves import failed_for_good, forget_outcomes, forgive, move
from prodigy.job.overrides import Overrides
from prodigy.job.state import DeadLetter, ItemState, JobState, RetryState, packed

Rule = Callable[[JobState, Any, Record], None]

AFRESH: Final[tuple[Phase, ...]] = ("map", "on_failure", "merge", "verify")
"""Phases that a retry goes through again."""
_LATE: Final[tuple[Phase, ...]] = ("map", "reduce")


def failure_of(attempt: Attempt) -> Failure:
    """The failure that an attempt ended with, as far as its history tells."""
    return Failure(
        error_class=attempt.error_type,
        message=attempt.error_message,
        step=attempt.step_failed,
        exit_code=attempt.exit_code,
        signal=attempt.signal,
        limit=attempt.limit,
        stdout_tail=attempt.stdout_tail,
        stderr_tail=attempt.stderr_tail,
        logs=attempt.logs,
    )


def failed_before(state: JobState, item: ItemState) -> Failure | None:
    """What the last attempt at an item failed with, that of another retry included; ``None`` if none did."""
    if item.history:
        return failure_of(item.history[-1])
    letter = state.dead_letters.get(item.item_id)
    return letter.last if letter is not None else None


# -- what they tell --------------------------------------------------------------------------------------------------
def history(told: Iterable[Attempt | events.AnyEvent]) -> list[Attempt]:
    """The failed attempts of an item, oldest first, by what they are known from."""
    attempts: list[Attempt] = []
    for part in told:
        match part:
            case Attempt():
                attempts.append(part)
            case events.DlqItemAdded() | events.DlqItemUpdated():
                attempts.extend(part.history)
            case events.WorktreeRescued():
                name_rescue(attempts, part)
            case _:
                raise TypeError(f"a {type(part).__name__} tells of no failed attempt")
    return attempts


def name_rescue(attempts: list[Attempt], event: events.WorktreeRescued) -> None:
    """A rescue comes after the failure that made it necessary; the last attempt is then told of it."""
    if attempts and attempts[-1].agent_id == event.agent_id and attempts[-1].rescue_ref is None:
        attempts[-1] = replace(
            attempts[-1],
            rescue_ref=event.ref,
            rescued_files=event.files,
            uncommitted_changes=event.uncommitted,
        )


def rescued(state: JobState, item: ItemState, event: events.WorktreeRescued, record: Record) -> None:
    """Name a rescue in the history of the item whose work it is."""
    if item.history:
        attempts = list(item.history)
        name_rescue(attempts, event)
        item.history = tuple(attempts)
    elif item.item_id in state.dead_letters:
        item.told = (*item.told, record.seq)


# -- in --------------------------------------------------------------------------------------------------------------
def _item_added(state: JobState, event: events.DlqItemAdded, record: Record) -> None:
    item = state.items.change(event.item_id)
    times = [attempt.timestamp for attempt in event.history] or [record.timestamp]
    letter = state.dead_letters[item.item_id] = DeadLetter(
        seq=record.seq,
        item_id=item.item_id,
        index=item.index,
        packed=item.packed if item.item == event.item else packed(event.item),
        error_signature=event.error_signature,
        failure_count=len(event.history),
        last=_last(event.history),
        reprocess_eligible=event.reprocess_eligible,
        manual_review_required=event.manual_review_required,
        workflow_sha256=state.workflow_sha256,
        template_sha256=state.template_sha256,
        first_attempt=times[0],
        last_attempt=times[-1],
    )
    _failed(state, item, letter, record)


def _item_updated(state: JobState, event: events.DlqItemUpdated, record: Record) -> None:
    letter, item = state.dead_letters.change(event.item_id), state.items.change(event.item_id)
    letter.failure_count += len(event.history)
    letter.last = _last(event.history) or letter.last
    letter.seq = record.seq
    letter.error_signature = event.error_signature
    letter.reprocess_eligible = event.reprocess_eligible
    letter.manual_review_required = event.manual_review_required
    letter.workflow_sha256, letter.template_sha256 = state.workflow_sha256, state.template_sha256
    letter.last_attempt = event.history[-1].timestamp if event.history else letter.last_attempt
    _failed(state, item, letter, record)


def _failed(state: JobState, item: ItemState, letter: DeadLetter, record: Record) -> None:
    """What failed of the item stands in the journal now, and nowhere else."""
    item.history = ()
    item.told = (*item.told, record.seq)
    if item.error is not None:
        item.error = letter.last
    move(state, item, "failed")
    failed_for_good(state, item)
    signature = letter.error_signature
    state.alike = state.alike + 1 if signature == state.alike_signature else 1
    state.alike_signature = signature


def _last(history: Sequence[Attempt]) -> Failure | None:
    """What the last attempt failed with, without output and logs."""
    if not history:
        return None
    last = history[-1]
    return failure_of(replace(last, stdout_tail="", stderr_tail="", logs=()))


# -- again -----------------------------------------------------------------------------------------------------------
def _retry_started(state: JobState, event: events.DlqRetryStarted, record: Record) -> None:
    begin_clock(state, record)
    state.money.caps = event.budget or state.money.caps
    state.retry = RetryState(started=event, started_at=record.timestamp)
    state.status = "running"
    state.ended_at = state.signal = state.error = None
    state.workers.clear()
    forgive(state)
    state.flags, state.before = Overrides(), None
    state.repeated_before = len(state.repeated)
    for item_id in event.item_ids:
        _again(state, state.items.change(item_id))
        state.items.settle()
    for phase in (*AFRESH, "reduce") if event.reduce else AFRESH:
        state.phases.pop(phase, None)
        if phase != "map":  # how the items were found stays
            forget_outcomes(state, phase)
    if event.branch_number != state.branch_number:
        state.branch_number = event.branch_number
        state.base_commit = event.base_commit
        state.branch_removed = False
    state.tip = event.base_commit
    state.merge = "pending"
    state.merge_answer = state.merged_into = state.merge_commit = state.merged_at = None
    if event.workflow_sha256 is not None:
        state.workflow_sha256, state.template_sha256 = event.workflow_sha256, event.template_sha256
        state.steps = event.steps or state.steps


def include(state: JobState, item_ids: Collection[str]) -> None:
    """Items of the queue are tried again with the rest of a run that had not come to its end.

    What comes after the map phase, if it was reached, comes after them.
    """
    for item_id in item_ids:
        _again(state, state.items.change(item_id))
        state.items.settle()
    phase = state.phases.get("map")
    if item_ids and phase is not None and phase.status != "running":
        for name in _LATE:
            state.phases.pop(name, None)
        forget_outcomes(state, "reduce")


def _again(state: JobState, item: ItemState) -> None:
    item.forgiven_ms = item.duration_ms + item.waited_ms
    item.retries = item.host_losses = item.conflicts = item.resolutions = 0
    item.error = item.ready_at = None
    item.forgiven = False
    move(state, item, "pending")


def _items_reprocessed(state: JobState, event: events.DlqItemsReprocessed, record: Record) -> None:
    if state.retry is None:
        return
    state.retry.ended = event
    for item_id in state.retry.items:
        item = state.items.change(item_id)
        _leave(state, item)
        if item.history and item_id in state.dead_letters:  # it would have got another attempt
            letter = state.dead_letters.change(item_id)
            item.told = (*item.told, *item.history)
            letter.failure_count += len(item.history)
            letter.last = _last(item.history)
            letter.last_attempt = item.history[-1].timestamp
            letter.seq = record.seq
            item.history = ()
        state.items.settle()
        state.dead_letters.settle()


def _leave(state: JobState, item: ItemState) -> None:
    """One that was not started, or not again, is failed as it was."""
    if item.status == "pending":
        item.error = failed_before(state, item)
        item.ready_at = None
        item.forgiven = True
        move(state, item, "failed")


# -- out -------------------------------------------------------------------------------------------------------------
def _item_removed(state: JobState, event: events.DlqItemRemoved, _: Record) -> None:
    if event.reason != "retried":
        state.items.change(event.item_id).discarded = True
        _leave(state, state.items.change(event.item_id))
    state.dead_letters.pop(event.item_id, None)


def _told(_state: JobState, _event: events.DlqItemsEvicted, _: Record) -> None:
    """The records of the single items say it all."""


LETTER_RULES: Final[Mapping[type[events.Event], Rule]] = {
    events.DlqItemAdded: _item_added,
    events.DlqItemUpdated: _item_updated,
    events.DlqItemRemoved: _item_removed,
    events.DlqItemsEvicted: _told,
    events.DlqRetryStarted: _retry_started,
    events.DlqItemsReprocessed: _items_reprocessed,
}
