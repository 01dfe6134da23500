"""The error policy clause by clause, and the rules that a map phase's settings make."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.events import Failure
from prodigy.job.policy import (
    ALIKE,
    Again,
    Charges,
    Resolving,
    Rules,
    after_conflict,
    after_failure,
    ending,
    rules_of,
    unit,
)
from prodigy.workflow.load import load_workflow
from prodigy.workflow.model import (
    Backoff,
    CircuitBreaker,
    ErrorPolicy,
    ItemValidation,
    MapInput,
    MapPhase,
    OnConflict,
    Retry,
    RetryOn,
    TimeoutConfig,
)

BROKEN = Failure(error_class="command-failed", message="exited with 1", exit_code=1)
UNDEFINED = Failure(error_class="undefined-variable", message="`x` is not defined")


def phase(**fields: object) -> MapPhase:
    return MapPhase(input=MapInput(source="list"), agent_template=(), **fields)  # type: ignore[arg-type]


def rules(**policy: object) -> Rules:
    return rules_of(phase(policy=ErrorPolicy(**policy)), "rerun")  # type: ignore[arg-type]


def test_the_defaults_bury_a_failed_item_and_go_on() -> None:
    assert rules() == Rules(max_parallel=10)


def test_retry_means_three_attempts_unless_it_says_more() -> None:
    assert rules(on_item_failure="retry").retry == Retry(attempts=3)
    assert rules(on_item_failure="retry", retry=Retry(attempts=7)).retry == Retry(attempts=7)
    assert rules(retry=Retry(attempts=2)).retry == Retry(attempts=2)
    assert rules().retry is None


def test_stop_and_not_continuing_are_the_same() -> None:
    assert rules(on_item_failure="stop") == rules(continue_on_failure=False)
    assert rules(on_item_failure="stop").stop


@pytest.mark.parametrize(
    ("policy", "fates"),
    [
        ("dlq", ["dlq"]),
        ("rerun", [Again("conflict"), "dlq"]),
        ("claude", [Resolving(), Again("conflict"), Resolving(), "dlq"]),
    ],
)
def test_what_becomes_of_work_that_collides_each_time(policy: OnConflict, fates: list[object]) -> None:
    rules, charges, error = rules_of(phase(), policy), Charges(conflicts=1), BROKEN
    found: list[object] = []
    while "dlq" not in found:
        found.append(after_conflict(rules, charges, error))
        if isinstance(found[-1], Resolving):
            charges.resolutions += 1
        else:
            charges.conflicts += 1
    assert found == fates


@pytest.mark.parametrize(
    ("action", "wanted"), [("dlq", "dlq"), ("graceful_terminate", "dlq"), ("skip", "skip"), ("fail", "fail")]
)
def test_what_time_running_out_means(action: str, wanted: str) -> None:
    timeouts = TimeoutConfig(action=action)  # type: ignore[arg-type]
    assert rules_of(phase(timeouts=timeouts), "rerun").on_timeout == wanted


def test_every_setting_arrives() -> None:
    breaker = CircuitBreaker(failure_threshold=2)
    made = rules_of(
        phase(
            max_parallel=3,
            base="tip",
            validation=ItemValidation(on_failure="skip"),
            policy=ErrorPolicy(
                on_item_failure="skip", max_failures=4, failure_threshold=0.5, circuit_breaker=breaker
            ),
        ),
        None,
    )
    assert made == Rules(
        max_parallel=3,
        end="skip",
        on_invalid="skip",
        max_failures=4,
        failure_threshold=0.5,
        from_tip=True,
        breaker=breaker,
    )


@pytest.mark.parametrize(
    ("steps", "alike"),
    [
        ([{"shell": "true"}], None),
        ([{"claude": "/fix"}], ALIKE),
        ([{"shell": "true", "on_failure": [{"foreach": ["a"], "do": [{"claude": "/fix"}]}]}], ALIKE),
    ],
)
def test_where_agents_are_paid_for_failing_alike_ends_the_phase(
    steps: list[dict[str, Any]], alike: int | None
) -> None:
    flow = {"mode": "mapreduce", "map": {"input": {"list": [1]}, "agent_template": steps}}
    workflow = load_workflow(json.dumps(flow).encode(), "w.yml").workflow
    assert workflow.map is not None
    assert rules_of(workflow.map, "rerun").alike == alike


def test_some_failures_are_never_tried_again() -> None:
    retrying = Rules(retry=Retry(attempts=3, backoff=Backoff(initial=0.0)))
    assert after_failure(retrying, "i", Charges(), BROKEN) == Again("item", 0.0)
    assert after_failure(retrying, "i", Charges(), UNDEFINED) == "dlq"


def test_retry_on_narrows_what_is_tried_again() -> None:
    narrow = Rules(retry=Retry(attempts=3, retry_on=(RetryOn(kind="exit_code", exit_codes=(75,)),)))
    assert after_failure(narrow, "i", Charges(), BROKEN) == "dlq"
    busy = Failure(error_class="command-failed", message="busy", exit_code=75)
    assert isinstance(after_failure(narrow, "i", Charges(), busy), Again)


def test_a_pattern_that_never_ends_matches_nothing() -> None:
    slow = Rules(retry=Retry(retry_on=(RetryOn(kind="pattern", pattern="(a|aa)+$"),)))
    failure = Failure(error_class="command-failed", message="a" * 200 + "!")
    assert after_failure(slow, "i", Charges(), failure) == "dlq"


def test_time_running_out_is_answered_before_the_general_rule() -> None:
    late = Failure(error_class="timeout", message="over 5 s")
    assert ending(Rules(end="skip"), late) == "skip"
    assert ending(Rules(end="skip", on_timeout="fail"), late) == "dlq"
    assert ending(Rules(on_timeout="skip"), late) == "skip"
    assert ending(Rules(on_timeout="skip"), BROKEN) == "dlq"


@given(st.text(), st.integers(1, 99))
def test_the_jitter_of_a_delay_is_the_same_whenever_it_is_asked_for(item_id: str, run: int) -> None:
    assert unit(item_id, run) == unit(item_id, run)
    assert 0 <= unit(item_id, run) < 1


def test_items_do_not_come_back_all_at_once() -> None:
    jittered = Rules(retry=Retry(backoff=Backoff(kind="fixed", initial=10.0, jitter=0.5)))
    delays = {after_failure(jittered, f"i{n}", Charges(), BROKEN) for n in range(50)}
    assert len(delays) == 50
