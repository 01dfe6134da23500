"""The result block: what a run did, where its work is, what to type next."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs
from stories import started

from prodigy.cli.result import result_lines, run_error
from prodigy.events import Failure
from prodigy.job.state import DeadLetter, ItemState, JobState, MergeOutcome, Money, Repeated, item_rows

BEGAN = datetime(2026, 11, 22, 8, 15, 0, tzinfo=UTC)
SESSION = "session-mapreduce-20261122-081500-k7m2pq"


def ended(change: Callable[[JobState], None] = lambda _: None) -> list[str]:
    """The block of a run of 200 items that went well, after ``change``."""
    state = JobState(
        started=started(name="lint-files"),
        started_at=BEGAN,
        money=Money(awake_since=BEGAN),
        updated_at=BEGAN,
        ended_at=BEGAN + timedelta(seconds=724),
        status="completed",
        items=item_rows(
            ItemState(index=index, item_id=str(index), packed=str(index)) for index in range(200)
        ),
        commits=231,
        files_changed={str(number) for number in range(418)},
        merge="declined",
        merge_answer="no-tty",
    )
    state.counts.update(done=200)
    change(state)
    return [
        "".join(part if isinstance(part, str) else part.text for part in line)
        for line in result_lines(state, "repo", BEGAN + timedelta(hours=1))
    ]


def bury(state: JobState) -> None:
    state.counts.update(done=-3, failed=3)
    for index in range(3):
        state.dead_letters[str(index)] = DeadLetter(
            seq=1,
            item_id=str(index),
            index=index,
            packed=str(index),
            error_signature="s",
            reprocess_eligible=True,
            manual_review_required=False,
            first_attempt=BEGAN,
            last_attempt=BEGAN,
        )


def test_a_run_with_dead_letters_that_nobody_could_be_asked_about() -> None:
    assert ended(bury) == [
        f"{SESSION}  completed in 12m 04s",
        "items    197 done, 3 in DLQ, 0 skipped (of 200)",
        f"commits  231, 418 files, on prodigy-{SESSION}",
        "merge    not merged (no terminal to ask): prodigy worktree merge k7m2pq",
        "next     prodigy dlq retry k7m2pq",
    ]


def merged(state: JobState) -> None:
    state.merge, state.merged_into, state.merge_commit = "merged", "main", "c0ffee" * 7


def refused(state: JobState) -> None:
    state.merge = "failed"
    state.merges.append(
        MergeOutcome(at=BEGAN, what="final", result="conflicted", target_branch="main", paths=("a", "b"))
    )


def unanswered(state: JobState) -> None:
    """The question was open when the run was stopped."""
    state.merge, state.merge_answer = "pending", None


def answered(answer: str) -> Callable[[JobState], None]:
    def change(state: JobState) -> None:
        state.merge_answer = answer

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (merged, "merge    merged into main (c0ffeec0ff)"),
        (refused, "merge    not possible (a, b), the branch is kept: prodigy worktree merge k7m2pq"),
        (answered("no"), "merge    not merged: prodigy worktree merge k7m2pq"),
        (answered("eof"), "merge    not merged (no answer): prodigy worktree merge k7m2pq"),
        (answered("flag-no"), "merge    not merged (--no-merge): prodigy worktree merge k7m2pq"),
        (unanswered, "merge    not merged, the branch is kept: prodigy worktree merge k7m2pq"),
    ],
)
def test_what_became_of_the_merge(change: Callable[[JobState], None], line: str) -> None:
    assert ended(change)[3] == line


def test_an_interrupted_run_counts_what_is_left() -> None:
    def change(state: JobState) -> None:
        state.status, state.merge, state.merge_answer = "interrupted", "pending", None
        state.counts.update(done=-8, pending=5, running=3)

    def bury_too(state: JobState) -> None:
        change(state)
        bury(state)

    assert ended(bury_too)[4] == "next     prodigy resume k7m2pq"
    lines = ended(change)
    assert lines[0] == f"{SESSION}  interrupted after 12m 04s"
    assert lines[1] == "items    192 done, 0 in DLQ, 0 skipped, 8 not finished (of 200)"
    assert lines[3] == "merge    not merged, the branch is kept"
    assert lines[4].startswith("next     prodigy ")


def test_a_run_that_failed_says_why_and_whose_fault_it_was() -> None:
    failure = Failure(
        error_class="command-failed",
        message="Step 2 exited with 1",
        exit_code=1,
        stderr_tail="one\ntwo\nthree\nfour\n",
        logs=("/l/2.out", "/l/2.err"),
    )
    error = run_error(JobState(status="failed", error=failure))
    assert error is not None
    assert (error.code, error.exit_code) == ("step-failed", 1)
    assert error.message == "Step 2 exited with 1\noutput (last 3 lines of 4):\n  two\n  three\n  four"
    assert error.note == "this came from the command, not from prodigy; full log: `/l/2.err`"
    of_claude = structs.replace(
        failure, error_class="claude-error", logs=("/l/2-claude.out", "/l/2-claude.err")
    )
    error = run_error(JobState(status="failed", error=of_claude))
    assert error is not None
    assert error.note == "full log: `/l/2-claude.out`", "Claude says nothing on its stderr"


def test_a_bug_is_ours_and_a_limit_is_a_limit() -> None:
    bug = run_error(JobState(error=Failure(error_class="internal", message="m")))
    limit = run_error(JobState(error=Failure(error_class="limit-exceeded", message="m", limit="memory")))
    assert bug is not None
    assert limit is not None
    assert (bug.exit_code, limit.code, limit.note) == (3, "limit-exceeded", None)
    assert limit.hint is not None
    assert "`limits`" in limit.hint
    assert run_error(JobState()) is None


def test_what_was_paid_again_is_told_once() -> None:
    """By the process that paid for it; the report keeps it."""

    def repeat(state: JobState) -> None:
        state.repeated.append(Repeated(phase="reduce", step="1"))

    def repeat_before(state: JobState) -> None:
        repeat(state)
        state.repeated_before = 1

    assert "again    cut off, and paid again: reduce step 1" in ended(repeat)
    assert not any("again" in line for line in ended(repeat_before))


def test_a_run_takes_the_time_in_which_somebody_worked_at_it() -> None:
    """Not that between two processes."""

    def resume(state: JobState) -> None:
        state.money = Money(wall=30.0, awake_since=BEGAN + timedelta(hours=9))
        state.ended_at = BEGAN + timedelta(hours=9, seconds=12)

    assert ended(resume)[0] == f"{SESSION}  completed in 42 s"
