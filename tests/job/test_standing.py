"""Steps go on exactly where what is recorded and what lies in the worktree agree."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from prodigy.events import ClaudeUse, Failure, StepCompleted, StepFailed, StepIntended
from prodigy.job.standing import Seen, Standing, alone, stand

Outcome = StepCompleted | StepFailed


def left(head: str | None, *, dirty: bool = False, kind: str = "shell", step: str = "1") -> Outcome:
    return StepCompleted(
        phase="map", step=step, intent=1, kind=kind, duration_ms=0, head_after=head, dirty=dirty
    )


def failed(head: str, *, dirty: bool) -> Outcome:
    error = Failure(error_class="command-failed", message="no")
    return StepFailed(
        phase="map",
        step="1",
        intent=1,
        kind="shell",
        duration_ms=0,
        error=error,
        head_after=head,
        dirty=dirty,
    )


def standing(
    *outcomes: Outcome,
    cut: tuple[str, ...] = (),
    head: str = "base",
    dirty: bool = False,
    finished: bool = False,
    **seen: Any,
) -> Standing:
    named = {str(number): outcome for number, outcome in enumerate(outcomes, 1)}
    cut_off = [StepIntended(phase="map", step="9", kind=kind) for kind in cut]
    return stand(named, cut_off, "base", Seen(head=head, dirty=dirty, **seen), finished=finished)


def test_what_a_finished_launch_left_stays_as_it_is() -> None:
    """The steps go on at it, with the commit that it began with."""
    assert standing(left("one"), cut=("claude",), head="two", dirty=True, finished=True) == Standing(
        head="one"
    )
    assert standing(left("one"), cut=("claude",), head="two", dirty=True).restore


def test_a_launch_is_alone_where_nobody_else_can_have_changed_files() -> None:
    claude, body, other = (
        StepIntended(phase="map", step=step, kind=kind)
        for step, kind in (("1.foreach[0].1", "claude"), ("1", "foreach"), ("1.foreach[1].1", "shell"))
    )
    assert alone([body, claude], claude)
    assert not alone([body, claude, other], claude)


def test_what_is_as_recorded_is_taken_as_it_stands() -> None:
    assert standing() == Standing(head="base")
    assert standing(left("one"), cut=("shell",), head="one") == Standing(head="one")
    assert standing(left("base", dirty=True), head="base", dirty=True) == Standing(head="base")


def test_what_a_cut_off_step_left_goes_and_no_finished_step_is_forgotten() -> None:
    assert standing(left("one"), cut=("shell",), head="one", dirty=True) == Standing(head="one", restore=True)
    assert standing(left("one"), cut=("shell",), head="two") == Standing(head="one", restore=True)
    assert standing(left("one"), head="one", at_home=False) == Standing(head="one", restore=True)


def test_a_commit_that_was_cut_off_is_made_or_was_made() -> None:
    step = left("base", dirty=True)
    assert standing(step, cut=("commit",), head="base", dirty=True) == Standing(head="base")
    assert standing(step, cut=("commit",), head="made") == Standing(head="base")


def test_changes_that_were_never_committed_cannot_be_restored_and_are_made_again() -> None:
    outcomes = (left("one"), left("one", dirty=True), left("one", dirty=True))
    again = Standing(head="one", restore=True, forgotten=("2", "3"))
    assert standing(*outcomes, cut=("shell",), head="one", dirty=True) == again
    assert standing(*outcomes, head="one") == again, "they are gone"
    assert standing(failed("base", dirty=True), cut=("shell",), dirty=True).forgotten == ("1",)


def test_what_was_paid_for_and_never_committed_is_kept_where_only_claude_was_cut_off() -> None:
    paid = structs.replace(
        left("one", dirty=True, kind="claude"), claude=ClaudeUse(session_id="s", cost_usd=1.0)
    )
    outcomes = (left("one"), paid, left("one", dirty=True))
    kept, again = Standing(head="one"), Standing(head="one", restore=True, forgotten=("2", "3"))
    assert standing(*outcomes, cut=("claude", "foreach", "claude"), head="one", dirty=True) == kept
    assert standing(*outcomes, cut=("claude",), head="two") == kept, "it committed what was there"
    assert standing(*outcomes, cut=("claude", "shell"), head="one", dirty=True) == again
    assert standing(*outcomes, cut=("claude",), head="one") == again, "they are gone"
    assert standing(*outcomes, cut=("claude",), head="one", dirty=True, at_home=False) == again
    free = (left("one"), left("one", dirty=True))
    assert standing(*free, cut=("claude",), head="one", dirty=True).forgotten == ("2",)


def test_what_a_compound_step_does_is_told_by_those_within_it() -> None:
    cut = ("foreach", "goal_seek", "check", "workflow", "validate")
    assert standing(left("base", dirty=True), cut=cut, dirty=True) == Standing(head="base")
    assert standing(left("one"), left(None, kind="items"), head="one", cut=cut) == Standing(head="one")


def test_a_clean_look_beside_a_body_that_had_changed_something_proves_nothing() -> None:
    bodies = (
        left("base", dirty=True, step="1.foreach[0].1"),
        left("base", dirty=False, step="1.foreach[1].1"),
    )
    found = standing(*bodies, cut=("foreach", "shell"), dirty=True)
    assert found == Standing(head="base", restore=True, forgotten=("1", "2"))


heads = st.sampled_from(["base", "one", "two"])
outcomes_ = st.lists(
    st.builds(lambda head, dirty: left(head, dirty=dirty), heads, st.booleans())
    | st.builds(lambda head, dirty: failed(head, dirty=dirty), heads, st.booleans()),
    max_size=6,
)


@given(outcomes_, st.lists(st.sampled_from(["shell", "commit", "foreach"]), max_size=2), heads, st.booleans())
def test_a_worktree_that_was_brought_back_is_as_recorded(
    outcomes: list[Outcome], cut: list[str], head: str, dirty: bool
) -> None:
    """Whoever is interrupted right after going back finds nothing more to bring back or to forget."""
    named = {str(number): outcome for number, outcome in enumerate(outcomes)}
    cut_off = [StepIntended(phase="map", step="9", kind=kind) for kind in cut]
    first = stand(named, cut_off, "base", Seen(head=head, dirty=dirty))
    if not first.restore:
        assert first.forgotten == ()
        return
    kept = {key: outcome for key, outcome in named.items() if key not in first.forgotten}
    assert list(kept) == list(named)[: len(kept)], "what counts no more is the end of it"
    second = stand(kept, cut_off, "base", Seen(head=first.head, dirty=False))
    assert second == Standing(head=first.head)
