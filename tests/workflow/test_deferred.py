"""Values written as references: filled in wherever they stand, and refused where they do not fit."""

import pytest
from scopes import Variables

from prodigy.workflow.deferred import BadValue, count, seconds, settled, share, size
from prodigy.workflow.model import Backoff, Deferred, Limits, MapInput, MapPhase, Mark, Retry, Shell, Step
from prodigy.workflow.values import UndefinedVariable

SCOPE = Variables(N=3, T="1m30s", S="2GiB", HALF=0.5, NONE="none", BAD="many")


def later(source: str, kind: str, least: float | None = None) -> Deferred:
    return Deferred(source, kind, Mark("w.yml", 3, 7), least)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "kind", "value"),
    [
        ("${N}", "integer", 3),
        ("$N", "integer", 3),
        ("${T}", "duration", 90.0),
        ("${N}", "duration", 3.0),
        ("${NONE}", "duration", None),
        ("${S}", "size", 2 * 2**30),
        ("${HALF}", "number", 0.5),
        ("${missing:-7}", "integer", 7),
        ("1${N}", "integer", 13),
    ],
)
def test_every_kind(source: str, kind: str, value: object) -> None:
    assert settled(later(source, kind), SCOPE) == value


def test_values_deep_in_a_policy() -> None:
    retry = Retry(attempts=later("${N}", "integer"), backoff=Backoff(initial=later("${T}", "duration")))
    assert settled(retry, SCOPE) == Retry(attempts=3, backoff=Backoff(initial=90.0))
    limits = Limits(memory=later("${S}", "size"), wall=5.0)
    assert settled(limits, SCOPE) == Limits(memory=2 * 2**30, wall=5.0)
    phase = MapPhase(input=MapInput(source="list"), agent_template=(), limits=limits)
    assert settled((phase, {"k": limits}), SCOPE) == (
        MapPhase(input=MapInput(source="list"), agent_template=(), limits=settled(limits, SCOPE)),
        {"k": settled(limits, SCOPE)},
    )


def test_what_is_settled_stays_the_same_object() -> None:
    step = Step(action=Shell("echo ${N}"), timeout=4.0)
    assert settled(step, SCOPE) is step
    assert settled((step, 1), SCOPE) == (step, 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (later("${BAD}", "integer"), "${BAD} is 'many': expected a whole number"),
        (later("${N}", "integer", least=4), "${N} is '3': must be at least 4"),
        (later("-${N}", "duration"), "-${N} is '-3': a duration cannot be negative"),
    ],
)
def test_what_does_not_fit_says_where_it_stands(value: Deferred, message: str) -> None:
    with pytest.raises(BadValue) as caught:
        settled(value, SCOPE)
    assert (caught.value.message, caught.value.where) == (message, "w.yml:3:7")


def test_what_leads_nowhere() -> None:
    with pytest.raises(UndefinedVariable):
        settled(later("${nothing}", "integer"), SCOPE)


def test_narrowing_passes_values_on() -> None:
    assert (seconds(1.5), seconds(None), count(2), share(0.5), size(9)) == (
        1.5,
        None,
        2,
        0.5,
        9,
    )
