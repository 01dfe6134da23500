"""State is the fold of the journal: one rule per event.

Pure. The table at the end names the rule of every event; an event that changes nothing says so there.

An item's life::

    pending ──agent_started──▶ running ──agent_completed──▶ done            without commits
       ▲                          │     └─agent_completed──▶ merging ──worktree_merged──▶ done
       │                     agent_failed                       │
       │                          ▼                   merge_conflicted, merge_failed: still merging,
       └────agent_retrying──── failed ◀──dlq_item_added──── another failure in the history

A failed item without a dead letter is one whose fate was not recorded yet; whoever resumes the run decides it. A
pending item has no error: that it failed before is in its history. An
attempt that its host took along stays ``running``, goes on in another one (``agent_interrupted``), and ends
as any other. Durations and costs of an item add up
over its attempts; commits, output and variables are those of the last one.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from prodigy import events
from prodigy.events import Attempt, Failure, Phase, Record
from prodigy.job.iterations import path_within
from prodigy.job.letters import LETTER_RULES, Rule
from prodigy.job.money import MONEY_RULES, begin_clock, leaf_key, pay
from prodigy.job.moves import failed_for_good, forget_outcomes, item_done, move, note_duration
from prodigy.job.resuming import job_resumed
from prodigy.job.standing import COMMIT, HARMLESS
from prodigy.job.state import (
    Circuit,
    CommandTiming,
    Commit,
    Detached,
    ItemState,
    IterationState,
    JobState,
    MergeOutcome,
    PhaseState,
    Repeated,
    Resolution,
    Spawned,
    first_line,
)

OFF_BRANCH: Final[frozenset[Phase]] = frozenset({"verify", "resolve"})
"""Phases that do not run on the session branch: what they commit is not part of the run."""
AGAIN: Final[frozenset[Phase]] = frozenset({"merge", "verify"})
"""Phases that can be run a second time after they failed, and then from their beginning."""
_TOP: Final = re.compile(r"[./@]")
_HISTORY_TAIL = 4096
_FEW = 3


def fold(records: Iterable[Record], state: JobState | None = None) -> JobState:
    """The state after ``records``; a given ``state`` is carried on, in place, and returned."""
    state = JobState() if state is None else state
    for record in records:
        apply(state, record)
    return state


def apply(state: JobState, record: Record) -> None:
    """Change ``state`` by one record."""
    RULES[type(record.event)](state, record.event, record)
    if record.metadata is not None:
        state.boot_id = record.metadata.boot_id
    state.seq = record.seq
    state.updated_at = record.timestamp


# -- job -----------------------------------------------------------------------------------------------------------
def _job_started(state: JobState, event: events.JobStarted, record: Record) -> None:
    state.started = event
    state.started_at = record.timestamp
    state.correlation_id = record.correlation_id
    state.tip = state.base_commit = event.base_commit
    state.steps = event.steps
    state.workflow_sha256 = event.workflow_sha256
    state.template_sha256 = event.template_sha256
    begin_clock(state, record)


def _job_paused(state: JobState, event: events.JobPaused, record: Record) -> None:
    state.status = "budget-exhausted" if event.reason == "budget" else "interrupted"
    state.ended_at = record.timestamp
    state.signal = event.signal or state.signal


def _job_completed(state: JobState, _: events.JobCompleted, record: Record) -> None:
    state.status = "completed"
    _job_ended(state, record)


def _job_failed(state: JobState, event: events.JobFailed, record: Record) -> None:
    state.status = "failed"
    state.error = event.error
    _job_ended(state, record)


def _job_ended(state: JobState, record: Record) -> None:
    state.ended_at = record.timestamp
    state.intents.clear()


def _cancel_requested(state: JobState, event: events.CancelRequested, _: Record) -> None:
    state.signal = event.signal


# -- phases --------------------------------------------------------------------------------------------------------
def _phase_started(state: JobState, event: events.PhaseStarted, record: Record) -> None:
    if state.status == "starting":
        state.status = "running"
    state.phase = event.phase
    state.steps_done = 0
    if event.phase in AGAIN:
        forget_outcomes(state, event.phase)
    state.phases[event.phase] = PhaseState(
        status="running",
        started_at=record.timestamp,
        base_commit=event.base_commit,
        max_parallel=event.max_parallel,
        tree=event.tree,
    )


def _phase_completed(state: JobState, event: events.PhaseCompleted, record: Record) -> None:
    phase = _phase_ended(state, event.phase, record)
    phase.status = "completed"
    phase.duration_ms = event.duration_ms
    phase.variables, phase.fields = event.variables, event.fields
    state.tip = event.head or state.tip


def _phase_failed(state: JobState, event: events.PhaseFailed, record: Record) -> None:
    phase = _phase_ended(state, event.phase, record)
    phase.status = "failed"
    phase.duration_ms = event.duration_ms
    phase.error = event.error
    if event.phase in AGAIN and state.started is not None:
        # nothing was merged because of it
        state.merge = "failed"
        outcome = MergeOutcome(
            at=record.timestamp,
            what="final",
            result="failed",
            target_branch=state.started.target,
            message=event.error.message,
        )
        state.merges.append(outcome)


def _phase_ended(state: JobState, phase: Phase, record: Record) -> PhaseState:
    state.current_step = state.current_step_name = None
    state.intents = {seq: intent for seq, intent in state.intents.items() if intent.phase != phase}
    return state.phases.setdefault(phase, PhaseState(status="running", started_at=record.timestamp))


def _phase_skipped(state: JobState, event: events.PhaseSkipped, record: Record) -> None:
    state.phases[event.phase] = PhaseState(status="skipped", started_at=record.timestamp)


def _iteration_started(state: JobState, event: events.IterationStarted, record: Record) -> None:
    state.steps_done = 0
    begun = IterationState(number=event.n, started_at=record.timestamp, base_commit=event.base_commit)
    state.iterations.append(begun)


def _iteration_completed(state: JobState, event: events.IterationCompleted, _: Record) -> None:
    state.current_step = state.current_step_name = None
    iteration = state.iterations[-1]
    iteration.duration_ms = event.duration_ms
    iteration.head = event.head
    iteration.error = event.error
    forget_outcomes(state, "steps")
    state.intents = {seq: intent for seq, intent in state.intents.items() if intent.phase != "steps"}


# -- items ---------------------------------------------------------------------------------------------------------
def _item_selected(state: JobState, event: events.ItemSelected, record: Record) -> None:
    if event.index == 0 and not state.selected:
        # a selection that was never closed is done anew; what it listed before counts for nothing
        state.items.clear()
        state.counts.clear()
    if event.item_id in state.items:
        return
    item = ItemState(index=event.index, item_id=event.item_id, item=event.item)
    state.items[event.item_id] = item
    state.counts["pending"] += 1
    if event.problem is not None:
        move(state, item, "failed")
        error = Failure(error_class="invalid-item", message=event.problem)
        item.history.append(_failed_attempt(state, item, error, record))


def _items_selected(state: JobState, _event: events.ItemsSelected, _: Record) -> None:
    state.selected = True


def _item_skipped(state: JobState, event: events.ItemSkipped, _: Record) -> None:
    item = state.items[event.item_id]
    move(state, item, "skipped")
    failed_for_good(state, item)


def _map_halted(state: JobState, event: events.MapHalted, _: Record) -> None:
    state.halted = Failure(error_class="policy-stopped", message=event.message)


def _circuit_opened(state: JobState, event: events.CircuitOpened, record: Record) -> None:
    state.circuit = Circuit(event.opening, record.timestamp.timestamp() + event.pause_ms / 1000)


def _circuit_closed(state: JobState, _event: events.CircuitClosed, _: Record) -> None:
    state.circuit = None
    state.failures_in_a_row = 0


# -- agents --------------------------------------------------------------------------------------------------------
def _agent_started(state: JobState, event: events.AgentStarted, record: Record) -> None:
    item = state.items[event.item_id]
    if event.agent_id != item.agent_id:
        _forget_leaves(state, item)
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
    item.head = item.rescue_ref = item.error = None
    item.commits = item.files_changed = item.rescued_files = ()
    item.uncommitted = False
    item.output = ""
    item.variables = {}


def _agent_completed(state: JobState, event: events.AgentCompleted, _: Record) -> None:
    item = _attempt_ended(state, event.item_id, event.duration_ms, event.cost_usd)
    item.head = event.head
    item.commits = event.commits
    item.files_changed = event.files_changed
    item.output = event.output
    item.variables = event.variables
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
    attempt = _failed_attempt(state, item, event.error, record)
    item.history.append(
        replace(
            attempt,
            attempt_number=event.attempt,
            agent_id=event.agent_id,
            duration_ms=event.duration_ms,
            cost_usd=event.cost_usd,
            base_commit=event.base_commit or item.base_commit,
            claude_session_id=conversation,
        )
    )


def _agent_interrupted(state: JobState, event: events.AgentInterrupted, _: Record) -> None:
    state.items[event.item_id].host_losses += 1


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


def _attempt_ended(state: JobState, item_id: str, duration_ms: int, cost_usd: float) -> ItemState:
    item = state.items[item_id]
    item.duration_ms += duration_ms
    item.cost_usd += cost_usd
    item.spent_usd = 0.0
    state.cost_usd += cost_usd
    item.slot = item.step = item.step_name = None
    item.foreseen = ()
    _forget_leaves(state, item)
    return item


def _forget_leaves(state: JobState, item: ItemState) -> None:
    """The attempt's process tree is dead, and the next attempt starts from the beginning."""
    item.outcomes = {}
    item.conversations = {}
    item.finished = {}
    item.claude_session = None
    for seq in [seq for seq, intent in state.intents.items() if intent.item_id == item.item_id]:
        del state.intents[seq]
        state.money.under_way.pop(seq, None)


def _failed_attempt(state: JobState, item: ItemState, error: Failure, record: Record) -> Attempt:
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


# -- steps ---------------------------------------------------------------------------------------------------------
def _step_intended(state: JobState, event: events.StepIntended, record: Record) -> None:
    for seq in [seq for seq, intent in state.intents.items() if _same_leaf(intent, event)]:
        del state.intents[seq]
        state.money.under_way.pop(seq, None)
        if event.kind not in HARMLESS | {COMMIT}:
            state.repeated.append(_repeated(event))  # it was cut off
    state.intents[record.seq] = event
    name = event.name or first_line(event.command)
    if event.item_id is None:
        state.current_step, state.current_step_name = event.step, name
    else:
        item = state.items[event.item_id]
        item.step, item.step_name = event.step, name


def _step_spawned(state: JobState, event: events.StepSpawned, record: Record) -> None:
    boot = record.metadata.boot_id if record.metadata is not None else state.boot_id
    state.spawned[event.intent] = Spawned(pid=event.pid, start_time=event.start_time, boot_id=boot)
    if event.claude_session is None:
        return
    state.launches[event.intent] = event
    if event.item_id is not None:
        state.items[event.item_id].claude_session = event.claude_session


def _step_detached(state: JobState, event: events.StepDetached, _: Record) -> None:
    known = {(one.pid, one.start_time, one.boot_id) for one in state.detached}
    if (event.pid, event.start_time, event.boot_id) in known:  # it was found running by a run that went on
        return
    intent = state.intents.get(event.intent)
    state.detached.append(
        Detached(
            pid=event.pid,
            start_time=event.start_time,
            boot_id=event.boot_id,
            until=event.until,
            phase=event.phase,
            step=event.step,
            item_id=event.item_id,
            command=intent.command if intent is not None else "",
        )
    )


def _same_leaf(one: events.StepIntended, other: events.StepIntended) -> bool:
    return (one.phase, one.item_id, one.step, one.try_) == (
        other.phase,
        other.item_id,
        other.step,
        other.try_,
    )


def _work_rewound(state: JobState, event: events.WorkRewound, _: Record) -> None:
    outcomes = state.outcomes if event.item_id is None else state.items[event.item_id].outcomes
    for leaf in event.forgotten:
        done = outcomes.pop(f"{event.phase}/{leaf}", None)
        if done is not None and done.kind not in HARMLESS | {COMMIT}:
            state.repeated.append(_repeated(done))
    if event.item_id is None and event.phase not in OFF_BRANCH:
        state.tip = event.head
        _drop_commits(state, event)


def _drop_commits(state: JobState, event: events.WorkRewound) -> None:
    """The phase's commits behind its new head are none of the run any more, nor are the files that only they changed."""
    log = state.commit_log
    dropped: set[str] = set()
    while log and log[-1].phase == event.phase and log[-1].sha != event.head:
        dropped.update(state.commit_files.pop(log.pop().sha, ()))
        state.commits -= 1
    if dropped:
        others = [
            *state.commit_files.values(),
            *(item.files_changed for item in state.items.values() if item.status == "done"),
        ]
        state.files_changed -= dropped.difference(*others)


def _repeated(leaf: events.StepIntended | events.StepCompleted | events.StepFailed) -> Repeated:
    return Repeated(phase=leaf.phase, step=leaf.step, item_id=leaf.item_id, kind=leaf.kind)


def _step_completed(state: JobState, event: events.StepCompleted, _: Record) -> None:
    _step_ended(state, event)
    top_level = "." not in path_within(event.step)
    if event.item_id is None and top_level:
        state.steps_done += 1
    if event.item_id is None and event.head_after is not None and event.phase not in OFF_BRANCH:
        state.tip = event.head_after


def _step_failed(state: JobState, event: events.StepFailed, _: Record) -> None:
    _step_ended(state, event)


def _step_ended(state: JobState, event: events.StepCompleted | events.StepFailed) -> None:
    intent = state.intents.pop(event.intent, None)
    state.spawned.pop(event.intent, None)
    label = first_line(intent.command) or intent.name if intent else event.step
    state.command_timings.append(CommandTiming(f"{event.kind}: {label}", event.duration_ms))
    pay(state, event, event.claude)
    owner = state if event.item_id is None else state.items[event.item_id]
    key = leaf_key(event.phase, event.step, event.try_)
    owner.outcomes[key] = event
    owner.conversations.pop(key, None)
    owner.finished.pop(key, None)


def _commit_created(state: JobState, event: events.CommitCreated, _: Record) -> None:
    """An agent's commits count when they are merged; all others are on the session branch already."""
    if event.item_id is None and event.phase not in OFF_BRANCH:
        state.tip = event.sha
        state.commit_files[event.sha] = event.files
        _count_commits(state, [Commit(sha=event.sha, phase=event.phase, message=event.message)], event.files)


def _count_commits(state: JobState, commits: list[Commit], files: Iterable[str]) -> None:
    state.commits += len(commits)
    state.commit_log.extend(commits)
    state.files_changed.update(files)


# -- worktrees -----------------------------------------------------------------------------------------------------
def _git_intended(
    state: JobState,
    event: events.WorktreeCreateIntended | events.WorktreeRemoveIntended | events.MergeIntended,
    record: Record,
) -> None:
    state.git_intents[record.seq] = event


def _worktree_made_or_not(
    state: JobState, event: events.WorktreeCreated | events.WorktreeCreateFailed, _: Record
) -> None:
    """One that was cut off earlier is done with as well."""
    state.git_intents.pop(event.intent, None)
    for seq, intent in list(state.git_intents.items()):
        if isinstance(intent, events.WorktreeCreateIntended) and intent.path == event.path:
            del state.git_intents[seq]


def _worktree_leased(state: JobState, event: events.WorktreeLeased, _: Record) -> None:
    state.leases[event.slot] = event.agent_id


def _worktree_released(state: JobState, event: events.WorktreeReleased, _: Record) -> None:
    state.leases.pop(event.slot, None)


def _worktree_rescued(state: JobState, event: events.WorktreeRescued, _: Record) -> None:
    if event.submodule:  # the ref is in another repository
        return
    state.rescue_refs.append(event.ref)
    if event.item_id is None:
        return
    item = state.items[event.item_id]
    item.rescue_ref = event.ref
    item.rescued_files, item.uncommitted = event.files or item.files_changed, event.uncommitted
    _name_rescue(item.history, event)
    if letter := state.dead_letters.get(event.item_id):
        _name_rescue(letter.failure_history, event)


def _name_rescue(history: list[Attempt], event: events.WorktreeRescued) -> None:
    """A rescue comes after the failure that made it necessary; the last entry is then told of it."""
    if history and history[-1].agent_id == event.agent_id and history[-1].rescue_ref is None:
        history[-1] = replace(
            history[-1],
            rescue_ref=event.ref,
            rescued_files=event.files,
            uncommitted_changes=event.uncommitted,
        )


def _worktree_cleaned(state: JobState, event: events.WorktreeCleaned, _: Record) -> None:
    state.git_intents.pop(event.intent, None)
    if state.branch in event.branches:
        state.branch_removed = True


# -- merges --------------------------------------------------------------------------------------------------------
def _worktree_merged(state: JobState, event: events.WorktreeMerged, record: Record) -> None:
    _merge_ended(
        state,
        event.intent,
        MergeOutcome(
            at=record.timestamp,
            what=event.what,
            result="merged",
            target_branch=event.target_branch,
            item_id=event.item_id,
            agent_id=event.agent_id,
            old=event.old,
            new=event.new,
            strategy=event.strategy,
        ),
    )
    if event.what == "final":
        state.merge = "nothing" if event.strategy == "nothing" else "merged"
        state.merged_into = event.target_branch
        state.merge_commit = event.new
        state.merged_at = record.timestamp
    elif event.item_id is not None:
        state.tip = event.new
        _reduce_anew(state)
        item = state.items[event.item_id]
        _resolution_ended(state, item)
        item_done(state, item)
        commits = [Commit(sha=sha, phase="map", item_id=item.item_id) for sha in item.commits]
        _count_commits(state, commits, item.files_changed)


def _reduce_anew(state: JobState) -> None:
    """What a reduce phase that failed had seen is not the whole any more: going on in it would take work off the branch."""
    reduce = state.phases.get("reduce")
    if reduce is not None and reduce.status == "failed":
        del state.phases["reduce"]
        forget_outcomes(state, "reduce")


def _merge_conflicted(state: JobState, event: events.MergeConflicted, record: Record) -> None:
    outcome = MergeOutcome(
        at=record.timestamp,
        what=event.what,
        result="conflicted",
        target_branch=event.target_branch,
        item_id=event.item_id,
        agent_id=event.agent_id,
        paths=event.paths,
    )
    _merge_ended(state, event.intent, outcome)
    message = f"merge conflict in {_some(event.paths)}"
    _merge_refused(state, outcome, Failure(error_class="merge-conflict", message=message), record)
    if event.what == "agent" and event.item_id is not None:
        state.items[event.item_id].conflicts += 1


def _merge_failed(state: JobState, event: events.MergeFailed, record: Record) -> None:
    outcome = MergeOutcome(
        at=record.timestamp,
        what=event.what,
        result="failed",
        target_branch=event.target_branch,
        item_id=event.item_id,
        agent_id=event.agent_id,
        message=event.message,
    )
    _merge_ended(state, event.intent, outcome)
    _merge_refused(state, outcome, Failure(error_class=event.error_class, message=event.message), record)


def _merge_ended(state: JobState, intent: int, outcome: MergeOutcome) -> None:
    state.git_intents.pop(intent, None)
    for seq, known in list(state.git_intents.items()):  # that of a merge which was cut off earlier
        if isinstance(known, events.MergeIntended) and known.item_id == outcome.item_id:
            del state.git_intents[seq]
    state.merges.append(outcome)


def _merge_refused(state: JobState, outcome: MergeOutcome, error: Failure, record: Record) -> None:
    if outcome.what == "final":
        state.merge = "failed"
    elif outcome.item_id is not None:
        item = state.items[outcome.item_id]
        item.history.append(_failed_attempt(state, item, error, record))


def _conflict_foreseen(state: JobState, event: events.ConflictForeseen, _: Record) -> None:
    item = state.items[event.item_id]
    if item.status == "running" and item.agent_id == event.agent_id:
        item.foreseen = event.paths


def _resolution_started(state: JobState, event: events.ConflictResolutionStarted, record: Record) -> None:
    owner = state if event.item_id is None else state.items[event.item_id]
    _resolution_ended(state, owner)
    owner.resolution = Resolution(
        source=event.source, onto=event.onto, paths=event.paths, began=record.timestamp
    )


def _conflict_resolved(state: JobState, event: events.ConflictResolved, _: Record) -> None:
    owner = state if event.item_id is None else state.items[event.item_id]
    paths = owner.resolution.paths if owner.resolution is not None else ()
    if isinstance(owner, JobState):
        _resolution_ended(state, owner)
        if event.source == state.source and state.tip is not None:
            state.settled = (state.tip, event.commit)
    else:
        owner.resolution = Resolution(source=event.source, onto=event.onto, paths=paths, commit=event.commit)


def _resolution_failed(state: JobState, event: events.ConflictResolutionFailed, record: Record) -> None:
    if event.item_id is None:
        _resolution_ended(state, state)
        state.merge = "failed"
        outcome = MergeOutcome(
            at=record.timestamp,
            what="final",
            result="conflicted",
            target_branch=event.target_branch,
            message=event.error.message,
        )
        state.merges.append(outcome)
        return
    item = state.items[event.item_id]
    _resolution_ended(state, item)
    item.resolutions += 1
    item.rescue_ref = event.rescue_ref or item.rescue_ref
    item.history.append(_failed_attempt(state, item, event.error, record))


def _resolution_ended(state: JobState, owner: JobState | ItemState) -> None:
    """What was recorded of a resolution's steps is of no use any more."""
    owner.resolution = None
    if isinstance(owner, ItemState):
        _forget_leaves(state, owner)
    else:
        forget_outcomes(state, "resolve")
        state.intents = {seq: one for seq, one in state.intents.items() if one.phase != "resolve"}


def _some(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - _FEW} more" if len(paths) > _FEW else ""
    return ", ".join(paths[:_FEW]) + more


def _merge_prompted(state: JobState, event: events.MergePrompted, _: Record) -> None:
    state.merge_answer = event.answer
    state.merge = "pending" if event.answer in {"yes", "flag-yes"} else "declined"


def _writing_refused(state: JobState, event: events.WritingRefused, _: Record) -> None:
    state.refused = event


# -- the supervision tree ------------------------------------------------------------------------------------------
def _worker_started(state: JobState, event: events.WorkerStarted, _: Record) -> None:
    state.workers[event.worker] = event.pid


def _worker_lost(state: JobState, event: events.WorkerLost, _: Record) -> None:
    state.workers.pop(event.worker, None)
    state.workers_lost += 1


def _nothing(_state: JobState, _event: events.Event, _: Record) -> None:
    """Told for people; no decision rests on it."""


RULES: Final[Mapping[type[events.Event], Rule]] = {
    events.JobStarted: _job_started,
    events.JobResumed: job_resumed,
    events.JournalTruncated: _nothing,
    events.JobPaused: _job_paused,
    events.JobCompleted: _job_completed,
    events.JobFailed: _job_failed,
    events.CheckpointCreated: _nothing,
    events.CheckpointLoaded: _nothing,
    events.CheckpointFailed: _nothing,
    events.CancelRequested: _cancel_requested,
    events.PhaseStarted: _phase_started,
    events.PhaseCompleted: _phase_completed,
    events.PhaseFailed: _phase_failed,
    events.PhaseSkipped: _phase_skipped,
    events.IterationStarted: _iteration_started,
    events.IterationCompleted: _iteration_completed,
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
    events.StepIntended: _step_intended,
    events.StepSpawned: _step_spawned,
    events.StepDetached: _step_detached,
    events.StepCompleted: _step_completed,
    events.StepFailed: _step_failed,
    events.WorkRewound: _work_rewound,
    events.StepSkipped: _nothing,
    events.StepRetrying: _nothing,
    events.StepWarned: _nothing,
    events.GoalSeekAttempted: _nothing,
    events.HandlerStarted: _nothing,
    events.HandlerCompleted: _nothing,
    events.LimitExceeded: _nothing,
    events.ValidationScored: _nothing,
    events.CommitCreated: _commit_created,
    events.WorktreeCreateIntended: _git_intended,
    events.WorktreeCreated: _worktree_made_or_not,
    events.WorktreeCreateFailed: _worktree_made_or_not,
    events.WorktreeLeased: _worktree_leased,
    events.WorktreeReleased: _worktree_released,
    events.WorktreeRescued: _worktree_rescued,
    events.SharedStateChanged: _nothing,
    events.WorktreeRemoveIntended: _git_intended,
    events.WorktreeCleaned: _worktree_cleaned,
    events.MergeIntended: _git_intended,
    events.WorktreeMerged: _worktree_merged,
    events.MergeConflicted: _merge_conflicted,
    events.MergeFailed: _merge_failed,
    events.ConflictForeseen: _conflict_foreseen,
    events.WritingRefused: _writing_refused,
    events.ConflictResolutionStarted: _resolution_started,
    events.ConflictResolved: _conflict_resolved,
    events.ConflictResolutionFailed: _resolution_failed,
    events.MergePrompted: _merge_prompted,
    **LETTER_RULES,
    **MONEY_RULES,
    events.ChildDown: _nothing,
    events.ChildRestarted: _nothing,
    events.Escalated: _nothing,
    events.WorkerStarted: _worker_started,
    events.WorkerLost: _worker_lost,
}
