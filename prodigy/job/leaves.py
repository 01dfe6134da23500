"""What is known of leaves: intents, outcomes, programs that were left running, and commits; rules of the fold.

Pure.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from prodigy import events
from prodigy.events import Phase, Record
from prodigy.job.iterations import path_within
from prodigy.job.letters import Rule
from prodigy.job.money import begun_again, leaf_key, owner, pay
from prodigy.job.standing import CLAUDE, COMMIT, HARMLESS
from prodigy.job.state import CommandTiming, Commit, Detached, JobState, Repeated, Spawned, first_line

OFF_BRANCH: Final[frozenset[Phase]] = frozenset({"verify", "resolve"})
"""Phases that do not run on the session branch: what they commit is not part of the run."""


def _step_intended(state: JobState, event: events.StepIntended, record: Record) -> None:
    for seq in [seq for seq, intent in state.intents.items() if _same_leaf(intent, event)]:
        del state.intents[seq]
        state.money.under_way.pop(seq, None)
        if event.kind not in HARMLESS | {COMMIT, CLAUDE}:
            state.repeated.append(_repeated(event))  # it was cut off
    state.intents[record.seq] = event
    name = event.name or first_line(event.command)
    if event.item_id is None:
        state.current_step, state.current_step_name = event.step, name
    else:
        item = state.items.change(event.item_id)
        item.step, item.step_name = event.step, name


def _step_spawned(state: JobState, event: events.StepSpawned, record: Record) -> None:
    boot = record.metadata.boot_id if record.metadata is not None else state.boot_id
    state.spawned[event.intent] = Spawned(pid=event.pid, start_time=event.start_time, boot_id=boot)
    if event.claude_session is None:
        return
    if event.intent not in state.launches:  # as earlier releases recorded it
        state.launches[event.intent] = _admitted(event, event.claude_session)
    begun_again(state, event)
    if event.item_id is not None:
        state.items.change(event.item_id).claude_session = event.claude_session


def _admitted(event: events.StepSpawned, session_id: str) -> events.ClaudeIntended:
    """The admission of a launch that is only known to have begun."""
    return events.ClaudeIntended(
        phase=event.phase,
        step=event.step,
        try_=event.try_,
        item_id=event.item_id,
        agent_id=event.agent_id,
        attempt=event.attempt,
        intent=event.intent,
        session_id=session_id,
    )


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
    outcomes = owner(state, event).outcomes
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
    leaves = owner(state, event)
    key = leaf_key(event.phase, event.step, event.try_)
    leaves.outcomes[key] = event
    leaves.conversations.pop(key, None)
    leaves.finished.pop(key, None)
    leaves.waiting.pop(key, None)


def _commit_created(state: JobState, event: events.CommitCreated, _: Record) -> None:
    """An agent's commits count when they are merged; all others are on the session branch already."""
    if event.item_id is None and event.phase not in OFF_BRANCH:
        state.tip = event.sha
        state.commit_files[event.sha] = event.files
        count_commits(state, [Commit(sha=event.sha, phase=event.phase, message=event.message)], event.files)


def count_commits(state: JobState, commits: list[Commit], files: Iterable[str]) -> None:
    """Take commits, and the files that they change, as part of the run."""
    state.commits += len(commits)
    state.commit_log.extend(commits)
    state.files_changed.update(files)


LEAF_RULES: Final[Mapping[type[events.Event], Rule]] = {
    events.StepIntended: _step_intended,
    events.StepSpawned: _step_spawned,
    events.StepDetached: _step_detached,
    events.StepCompleted: _step_completed,
    events.StepFailed: _step_failed,
    events.WorkRewound: _work_rewound,
    events.CommitCreated: _commit_created,
}
