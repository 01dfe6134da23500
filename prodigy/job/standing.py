"""Where steps that were interrupted go on: what is recorded of them against what their worktree holds.

Pure. Steps go on at their first leaf without an outcome. For that the worktree must be as the recorded leaves left it:

- it is, or nobody worked in it since: it is taken as it stands;
- all that was done since is the work of a launch of Claude which had come to its end: likewise, since its result counts,
  or its conversation goes on;
- it is not, and what the recorded leaves left is a commit: it goes back to that commit;
- it is not, what they left was never committed, and some of it was paid for, but nothing except launches of Claude was cut
  off: likewise as it stands, since their conversations go on in it;
- it is not, and what they left was never committed: it goes back to the last moment at which it was, and what was done
  since then is forgotten and done again.

Whoever brings a worktree back rescues what it holds first.
"""

from collections.abc import Collection, Mapping
from itertools import accumulate
from typing import Final

from msgspec import Struct

from prodigy.events import StepCompleted, StepFailed, StepIntended

HARMLESS: Final = frozenset(
    {"foreach", "goal_seek", "validate", "workflow", "analyze", "check", "asked", "items", "look", "timeout"}
)
"""Kinds of leaves that change no file themselves: those below them do, or nobody does."""
COMMIT: Final = "commit"
CLAUDE: Final = "claude"
"""The kind of leaf that goes on with what it began; what it began anew is told by its launch."""
_BODY: Final = "foreach["


class Seen(Struct, frozen=True, kw_only=True):
    """A worktree as git sees it."""

    head: str | None
    dirty: bool
    """Whether anything is uncommitted."""
    at_home: bool = True
    """Whether it stands on the branch that it was made for."""


class Standing(Struct, frozen=True, kw_only=True):
    """Where the steps go on."""

    head: str
    """The commit that the worktree stands on, or has to be brought back to."""
    restore: bool = False
    forgotten: tuple[str, ...] = ()
    """Keys of outcomes that count no more."""


class _Left(Struct, frozen=True):
    """What the worktree held after a leaf; ``dirty`` is ``None`` where the leaf does not say."""

    head: str
    dirty: bool | None


def stand(
    outcomes: Mapping[str, StepCompleted | StepFailed],
    cut_off: Collection[StepIntended],
    base: str,
    seen: Seen,
    *,
    finished: bool = False,
) -> Standing:
    """Where to go on.

    Args:
        outcomes: what is recorded of the steps, in the order of the records.
        cut_off: intents of theirs without an outcome; nobody works at them any more.
        base: the commit that they began with, nothing uncommitted.
        seen: their worktree.
        finished: whether the one of them that changes files is a launch of Claude that had come to its end.
    """
    *_, last = moments = _moments(outcomes, base)
    if finished or (seen.at_home and _as_recorded(last, cut_off, seen)):
        return Standing(head=last.head)
    if last.dirty is False:
        return Standing(head=last.head, restore=True)
    index, clean = next(
        (index, moment) for index, moment in reversed(list(enumerate(moments))) if moment.dirty is False
    )
    forgotten = tuple(outcomes)[index:]
    if _goes_on_in_it(last, cut_off, seen) and any(outcomes[key].claude is not None for key in forgotten):
        return Standing(head=last.head)
    return Standing(head=clean.head, restore=True, forgotten=forgotten)


def left_at(outcomes: Mapping[str, StepCompleted | StepFailed], base: str) -> str:
    """The commit at which recorded leaves left their worktree; the arguments are those of ``stand``."""
    return _moments(outcomes, base)[-1].head


def alone(open_: Collection[StepIntended], leaf: StepIntended) -> bool:
    """Whether of all leaves without an outcome this one alone can have changed files."""
    return all(one is leaf or one.kind in HARMLESS for one in open_)


def _moments(outcomes: Mapping[str, StepCompleted | StepFailed], base: str) -> list[_Left]:
    return list(accumulate(outcomes.values(), _after, initial=_Left(base, dirty=False)))


def _after(before: _Left, outcome: StepCompleted | StepFailed) -> _Left:
    if outcome.head_after is not None:
        # Bodies of one `foreach` may run at the same time: what one sees may be older than what another has left.
        beside = _BODY in outcome.step and outcome.kind != COMMIT and before.dirty is not False
        return _Left(outcome.head_after, outcome.dirty or beside)
    if outcome.kind in HARMLESS or outcome.kind == COMMIT:  # a commit that was refused
        return before
    return _Left(before.head, dirty=None)


def _goes_on_in_it(last: _Left, cut_off: Collection[StepIntended], seen: Seen) -> bool:
    """Whether the work is there, and beside it only that of launches of Claude which were cut off."""
    there = seen.at_home and (seen.dirty or seen.head != last.head)
    return there and {intent.kind for intent in cut_off} - HARMLESS <= {CLAUDE, COMMIT}


def _as_recorded(last: _Left, cut_off: Collection[StepIntended], seen: Seen) -> bool:
    kinds = {intent.kind for intent in cut_off} - HARMLESS
    if seen.head != last.head:
        return kinds == {COMMIT} and not seen.dirty  # it was made, and not recorded any more
    if not seen.dirty:
        return last.dirty is not True
    return last.dirty is not False and not kinds - {COMMIT}
