"""What becomes of items and of the attempts at them: rules of the fold.

Pure.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from prodigy import events
from prodigy.events import Attempt, Failure, Record
from prodigy.job.letters import Rule
from prodigy.job.moves import failed_for_good, item_done, move, note_duration
from prodigy.job.state import Circuit, FailedAttempt, ItemState, JobState, Repeated, packed

_HISTORY_TAIL = 4096


# -- items ----------------------------------------------------------------------------------------------------------
def _item_selected(state: JobState, event: events.ItemSelected, record: Record) -> None:
    if event.index == 0 and not state.selected:
        # a selection that was never closed is done anew; what it listed before counts for nothing
        state.items.clear()
        state.counts.clear()
    if event.item_id in state.items:
        return
    item = ItemState(index=event.index, item_id=event.item_id, packed=packed(event.item))
    state.items[event.item_id] = item
    state.counts["pending"] += 1
    if event.problem is not None:
        move(state, item, "failed")
        error = Failure(error_class="invalid-item", message=event.problem)
        keep_attempt(item, failed_attempt(state, item, error, record))


def _items_selected(state: JobState, _event: events.ItemsSelected, _: Record) -> None:
    state.selected = True


def _item_skipped(state: JobState, event: events.ItemSkipped, _: Record) -> None:
    item = state.items.change(event.item_id)
    move(state, item, "skipped")
    failed_for_good(state, item)


def _map_halted(state: JobState, event: events.MapHalted, _: Record) -> None:
    state.halted = Failure(error_class="policy-stopped", message=event.message)


def _circuit_opened(state: JobState, event: events.CircuitOpened, record: Record) -> None:
    state.circuit = Circuit(event.opening, record.timestamp.timestamp() + event.pause_ms / 1000)


def _circuit_closed(state: JobState, _event: events.CircuitClosed, _: Record) -> None:
    state.circuit = None
    state.failures_in_a_row = 0


# -- agents ---------------------------------------------------------------------------------------------------------
def _agent_started(state: JobState, event: events.AgentStarted, record: Record) -> None:
    item = state.items.change(event.item_id)
    if event.agent_id != item.agent_id:
        forget_leaves(state, item)
    move(state, item, "running")
    item.attempts = event.attempt
    item.agent_id = event.agent_id
    item.slot = event.slot
    item.base_commit = event.base_commit
    item.started_at = record.timestamp
    item.ready_at = None
    item.trial = state.circuit is not None
    item.forgiven = False
    item.resolution = None
    item.foreseen = ()
    item.head = item.rescue_ref = item.put_aside = item.error = None
    item.commits = item.files_changed = item.rescued_files = ()
    item.uncommitted = False
    item.output = ""
    item.variables = None


def _agent_completed(state: JobState, event: events.AgentCompleted, _: Record) -> None:
    item = _attempt_ended(state, event.item_id, event.duration_ms, event.cost_usd)
    item.head = event.head
    item.commits = event.commits
    item.files_changed = event.files_changed
    item.output = event.output
    item.variables = event.variables or None
    item.json_log_location = event.json_log_location
    if event.commits:
        move(state, item, "merging")
    else:
        item_done(state, item)
    note_duration(state, item)


def _agent_failed(state: JobState, event: events.AgentFailed, record: Record) -> None:
    conversation = state.items[event.item_id].claude_session
    item = _attempt_ended(state, event.item_id, event.duration_ms, event.cost_usd)
    item.json_log_location = event.json_log_location
    item.rescue_ref = event.rescue_ref or item.rescue_ref
    item.attempts = max(item.attempts, event.attempt)  # one that found no worktree never started
    move(state, item, "failed")
    attempt = replace(
        failed_attempt(state, item, event.error, record),
        attempt_number=event.attempt,
        agent_id=event.agent_id,
        duration_ms=event.duration_ms,
        cost_usd=event.cost_usd,
        base_commit=event.base_commit or item.base_commit,
        claude_session_id=conversation,
    )
    keep_attempt(item, attempt)


def _agent_interrupted(state: JobState, event: events.AgentInterrupted, _: Record) -> None:
    state.items.change(event.item_id).host_losses += 1


def _agent_retrying(state: JobState, event: events.AgentRetrying, record: Record) -> None:
    item = _attempt_ended(state, event.item_id, 0, state.items[event.item_id].spent_usd)
    if event.charged_to == "resume":
        state.repeated.append(Repeated(phase="map", item_id=event.item_id))
    item.error = None
    item.retries += event.charged_to == "item"
    item.host_losses += event.charged_to == "host_lost"
    item.waited_ms += event.backoff_ms
    item.ready_at = record.timestamp + timedelta(milliseconds=event.backoff_ms)
    move(state, item, "pending")


def _agent_parked(state: JobState, event: events.AgentParked, _: Record) -> None:
    state.parked_agents[event.item_id] = (event.account, event.model)


def _agent_returned(state: JobState, event: events.AgentReturned, _: Record) -> None:
    state.parked_agents.pop(event.item_id, None)


def _attempt_ended(state: JobState, item_id: str, duration_ms: int, cost_usd: float) -> ItemState:
    item = state.items.change(item_id)
    item.duration_ms += duration_ms
    item.cost_usd += cost_usd
    item.spent_usd = 0.0
    state.cost_usd += cost_usd
    state.parked_agents.pop(item_id, None)
    item.slot = item.step = item.step_name = None
    item.foreseen = ()
    forget_leaves(state, item)
    return item


def forget_leaves(state: JobState, item: ItemState) -> None:
    """The attempt's process tree is dead, and the next attempt starts from the beginning."""
    item.leaves = item.claude_session = None
    for seq in [seq for seq, intent in state.intents.items() if intent.item_id == item.item_id]:
        del state.intents[seq]
        state.money.under_way.pop(seq, None)


def failed_attempt(state: JobState, item: ItemState, error: Failure, record: Record) -> Attempt:
    """The entry of the history that a failure makes; the item is failed by it."""
    item.error = error
    return Attempt(
        attempt_number=item.attempts,
        timestamp=record.timestamp,
        phase="map",
        error_type=error.error_class,
        error_message=error.message,
        step_failed=error.step,
        exit_code=error.exit_code,
        signal=error.signal,
        limit=error.limit,
        stdout_tail=error.stdout_tail[-_HISTORY_TAIL:],
        stderr_tail=error.stderr_tail[-_HISTORY_TAIL:],
        logs=error.logs,
        json_log_location=item.json_log_location,
        agent_id=item.agent_id,
        rescue_ref=item.rescue_ref,
        rescued_files=item.rescued_files,
        uncommitted_changes=item.uncommitted,
        base_commit=item.base_commit,
        retry=item.item_id in state.dead_letters,
    )


def keep_attempt(item: ItemState, attempt: Attempt) -> None:
    """One more attempt failed."""
    item.history += (attempt,)
    item.failed += (FailedAttempt(attempt.attempt_number, attempt.timestamp, attempt.duration_ms),)


ITEM_RULES: Final[Mapping[type[events.Event], Rule]] = {
    events.ItemSelected: _item_selected,
    events.ItemsSelected: _items_selected,
    events.ItemSkipped: _item_skipped,
    events.MapHalted: _map_halted,
    events.CircuitOpened: _circuit_opened,
    events.CircuitClosed: _circuit_closed,
    events.AgentStarted: _agent_started,
    events.AgentCompleted: _agent_completed,
    events.AgentFailed: _agent_failed,
    events.AgentInterrupted: _agent_interrupted,
    events.AgentRetrying: _agent_retrying,
    events.AgentParked: _agent_parked,
    events.AgentReturned: _agent_returned,
}
