"""Which iteration comes next, and what the values are called in it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.events import Failure
from prodigy.ids import JobId, SessionId
from prodigy.job.iterations import (
    argument_roots,
    next_iteration,
    numbered_arguments,
    path_within,
    prefix_of,
    wants_argument,
    why_failed,
)
from prodigy.job.plan import RunPlan
from prodigy.job.state import IterationState
from prodigy.workflow.model import Shell, Step, StepList, Workflow

BROKEN = Failure(error_class="command-failed", message="exited with 1")


def plan(*arguments: str, iterations: int = 1, fail_fast: bool = False, script: str = "true") -> RunPlan:
    steps = StepList(steps=(Step(action=Shell(script)),))
    return RunPlan(
        job_id=JobId("workflow-20261122-081500-k7m2pq"),
        session_id=SessionId("session-20261122-081500-k7m2pq"),
        workflow=Workflow(name="w", mode="sequential", steps=steps),
        workflow_path="w.yml",
        workflow_sha256="0" * 64,
        repository="/r",
        base_commit="base",
        original_branch="main",
        arguments=arguments,
        iterations=iterations,
        fail_fast=fail_fast,
    )


def begun(story: str) -> list[IterationState]:
    """One letter an iteration: `c` made a commit, `n` made none, `f` failed, `r` runs."""
    ends: dict[str, tuple[str | None, Failure | None]] = {
        "c": ("later", None),
        "n": ("base", None),
        "f": ("later", BROKEN),
        "r": (None, None),
    }
    return [
        IterationState(
            number=number,
            started_at=datetime(2026, 11, 22, tzinfo=UTC),
            base_commit="base",
            head=ends[letter][0],
            error=ends[letter][1],
        )
        for number, letter in enumerate(story, 1)
    ]


def story_of(asked: RunPlan, fates: str) -> str:
    """What happens if the iterations end as `fates` says."""
    done = ""
    while next_iteration(asked, begun(done)) is not None:
        done += fates[len(done)]
    return done


def test_a_value_each() -> None:
    assert story_of(plan("a", "b", "c"), "nnnn") == "nnn"


def test_a_value_that_fails_ends_only_itself() -> None:
    assert story_of(plan("a", "b", "c"), "cfcc") == "cfc"


def test_unless_the_first_failure_is_to_end_everything() -> None:
    assert story_of(plan("a", "b", "c", fail_fast=True), "cfcc") == "cf"


def test_repetition_ends_with_the_iteration_that_changes_nothing() -> None:
    assert story_of(plan(iterations=5), "ccnc") == "ccn"
    assert story_of(plan(iterations=2), "cccc") == "cc"


def test_repetition_ends_with_a_failure() -> None:
    assert story_of(plan(iterations=5), "cfcc") == "cf"
    assert story_of(plan("a", "b", iterations=5), "fccc") == "fc", "the other values of the round still run"


def test_a_round_of_values_is_repeated_if_any_of_them_changed_something() -> None:
    assert story_of(plan("a", "b", iterations=3), "ncnnnn") == "ncnn"


def test_an_iteration_that_was_cut_off_is_the_next_one() -> None:
    assert next_iteration(plan("a", "b"), begun("cr")) == 2


@given(
    values=st.integers(0, 4),
    iterations=st.integers(1, 4),
    fail_fast=st.booleans(),
    fates=st.lists(st.sampled_from("cnf"), min_size=20, max_size=20).map("".join),
)
def test_every_value_runs_equally_often_unless_told_to_stop(
    values: int, iterations: int, *, fail_fast: bool, fates: str
) -> None:
    asked = plan(*map(str, range(values)), iterations=iterations, fail_fast=fail_fast)
    done = story_of(asked, fates)
    assert len(done) <= asked.values * iterations
    assert len(done) % asked.values == 0 or (fail_fast and done.endswith("f"))
    assert (why_failed(asked, begun(done)) is None) == ("f" not in done)


def test_the_failure_of_the_whole_names_the_first() -> None:
    failure = why_failed(plan("a", "b", "c"), begun("cff"))
    assert failure is not None
    assert failure.message == "2 of 3 values failed, first `b`: exited with 1"
    alone = why_failed(plan(iterations=3), begun("cf"))
    assert alone is not None
    assert alone.message == "Iteration 2 failed: exited with 1"


def test_what_the_value_is_called() -> None:
    asked = plan("a", "b", "c", script="echo $ARG_2 ${ARG_7}")
    numbered = numbered_arguments(asked.workflow)
    assert numbered == {2, 7}
    assert argument_roots(asked, 2, numbered) == {"ARG": "b", "INDEX": 2, "TOTAL": 3, "ARG_2": "b"}
    assert argument_roots(asked, 4, numbered) == {"ARG": "a", "INDEX": 1, "TOTAL": 3, "ARG_2": "b"}
    assert argument_roots(plan(), 1, numbered) == {}


@pytest.mark.parametrize(
    ("script", "wants"),
    [("echo $ARG", True), ("echo ${ARG}", True), ("echo ${ARG:-x} $ARGS ${ARG_1} ARG", False)],
)
def test_a_value_is_missed_where_a_text_needs_it(script: str, *, wants: bool) -> None:
    assert wants_argument(plan(script=script).workflow) is wants


@given(number=st.integers(1, 10_000), path=st.sampled_from(["1", "2.commit", "12.on_failure#1.1"]))
def test_paths_tell_iterations_apart_and_stay_what_they_are(number: int, path: str) -> None:
    assert path_within(prefix_of(number) + path) == path
    assert (prefix_of(number) + path == path) == (number == 1)
