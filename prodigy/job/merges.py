"""What becomes of work in worktrees: leases, rescues, merges, conflicts; rules of the fold.

Pure.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from prodigy import events
from prodigy.events import Failure, Record
from prodigy.job.attempts import failed_attempt, forget_leaves, keep_attempt
from prodigy.job.leaves import count_commits
from prodigy.job.letters import Rule, rescued
from prodigy.job.money import ask_again
from prodigy.job.moves import forget_outcomes, item_done
from prodigy.job.state import Commit, ItemState, JobState, MergeOutcome, MergeResult, Resolution

_FEW = 3


# -- worktrees ------------------------------------------------------------------------------------------------------
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


def _worktree_rescued(state: JobState, event: events.WorktreeRescued, record: Record) -> None:
    if event.submodule:  # the ref is in another repository
        return
    state.rescue_refs.append(event.ref)
    if event.item_id is None:
        if event.agent_id is None:
            state.put_aside = event.ref
        return
    item = state.items.change(event.item_id)
    item.rescue_ref = item.put_aside = event.ref
    item.rescued_files, item.uncommitted = event.files or item.files_changed, event.uncommitted
    rescued(state, item, event, record)


def _worktree_cleaned(state: JobState, event: events.WorktreeCleaned, _: Record) -> None:
    state.git_intents.pop(event.intent, None)
    if state.branch in event.branches:
        state.branch_removed = True


# -- merges ---------------------------------------------------------------------------------------------------------
def _worktree_merged(state: JobState, event: events.WorktreeMerged, record: Record) -> None:
    outcome = _outcome(event, record, "merged")
    outcome = replace(outcome, old=event.old, new=event.new, strategy=event.strategy)
    _merge_ended(state, event.intent, outcome)
    if event.what == "final":
        state.merge = "nothing" if event.strategy == "nothing" else "merged"
        state.merged_into = event.target_branch
        state.merge_commit = event.new
        state.merged_at = record.timestamp
    elif event.item_id is not None:
        state.tip = event.new
        _reduce_anew(state)
        item = state.items.change(event.item_id)
        _resolution_ended(state, item)
        item_done(state, item)
        commits = [Commit(sha=sha, phase="map", item_id=item.item_id) for sha in item.commits]
        count_commits(state, commits, item.files_changed)


def _reduce_anew(state: JobState) -> None:
    """What a reduce phase that failed had seen is not the whole any more: going on in it would take work off the branch."""
    reduce = state.phases.get("reduce")
    if reduce is not None and reduce.status == "failed":
        del state.phases["reduce"]
        forget_outcomes(state, "reduce")


def _merge_conflicted(state: JobState, event: events.MergeConflicted, record: Record) -> None:
    outcome = replace(_outcome(event, record, "conflicted"), paths=event.paths)
    _merge_ended(state, event.intent, outcome)
    message = f"merge conflict in {_some(event.paths)}"
    _merge_refused(state, outcome, Failure(error_class="merge-conflict", message=message), record)
    if event.what == "agent" and event.item_id is not None:
        state.items.change(event.item_id).conflicts += 1


def _merge_failed(state: JobState, event: events.MergeFailed, record: Record) -> None:
    outcome = replace(_outcome(event, record, "failed"), message=event.message)
    _merge_ended(state, event.intent, outcome)
    _merge_refused(state, outcome, Failure(error_class=event.error_class, message=event.message), record)


def _outcome(event: events.MergeEvent, record: Record, result: MergeResult) -> MergeOutcome:
    return MergeOutcome(
        at=record.timestamp,
        what=event.what,
        result=result,
        target_branch=event.target_branch,
        item_id=event.item_id,
        agent_id=event.agent_id,
    )


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
        item = state.items.change(outcome.item_id)
        keep_attempt(item, failed_attempt(state, item, error, record))


def _conflict_foreseen(state: JobState, event: events.ConflictForeseen, _: Record) -> None:
    item = state.items.change(event.item_id)
    if item.status == "running" and item.agent_id == event.agent_id:
        item.foreseen = event.paths


def _resolution_started(state: JobState, event: events.ConflictResolutionStarted, record: Record) -> None:
    owner = state if event.item_id is None else state.items.change(event.item_id)
    _resolution_ended(state, owner)
    owner.resolution = Resolution(
        source=event.source, onto=event.onto, paths=event.paths, began=record.timestamp
    )


def _conflict_resolved(state: JobState, event: events.ConflictResolved, _: Record) -> None:
    owner = state if event.item_id is None else state.items.change(event.item_id)
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
        state.merges.append(replace(_outcome(event, record, "conflicted"), message=event.error.message))
        return
    item = state.items.change(event.item_id)
    _resolution_ended(state, item)
    item.resolutions += 1
    item.rescue_ref = event.rescue_ref or item.rescue_ref
    keep_attempt(item, failed_attempt(state, item, event.error, record))


def _resolution_ended(state: JobState, owner: JobState | ItemState) -> None:
    """What was recorded of a resolution's steps is of no use any more."""
    owner.resolution = None
    if isinstance(owner, ItemState):
        forget_leaves(state, owner)
    else:
        forget_outcomes(state, "resolve")
        state.intents = {seq: one for seq, one in state.intents.items() if one.phase != "resolve"}


def _some(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - _FEW} more" if len(paths) > _FEW else ""
    return ", ".join(paths[:_FEW]) + more


def _merge_prompted(state: JobState, event: events.MergePrompted, record: Record) -> None:
    state.merge_answer = event.answer
    ask_again(state, record.timestamp)
    state.merge = "pending" if event.answer in {"yes", "flag-yes"} else "declined"


def _writing_refused(state: JobState, event: events.WritingRefused, _: Record) -> None:
    state.refused = event


MERGE_RULES: Final[Mapping[type[events.Event], Rule]] = {
    events.WorktreeCreateIntended: _git_intended,
    events.WorktreeCreated: _worktree_made_or_not,
    events.WorktreeCreateFailed: _worktree_made_or_not,
    events.WorktreeLeased: _worktree_leased,
    events.WorktreeReleased: _worktree_released,
    events.WorktreeRescued: _worktree_rescued,
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
}
