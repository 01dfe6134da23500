"""``timeout_config``: which limit reaches which step, and which the attempt."""

import pytest

from prodigy.job.timing import attempt_limit, timed_steps
from prodigy.workflow.model import Claude, MapInput, MapPhase, Shell, Step, TimeoutConfig

TEMPLATE = (
    Step(action=Shell("a")),
    Step(action=Claude("/b")),
    Step(action=Shell("c"), timeout=7.0),
    Step(action=Shell("d")),
)


def limits(timeouts: TimeoutConfig, agent_timeout: float | None = None) -> tuple[object, list[object]]:
    phase = MapPhase(
        input=MapInput(source="list"), agent_template=TEMPLATE, timeouts=timeouts, agent_timeout=agent_timeout
    )
    return attempt_limit(phase), [step.timeout for step in timed_steps(phase)]


@pytest.mark.parametrize(
    ("policy", "attempt", "steps"),
    [
        ("hybrid", 60.0, [10.0, 30.0, 7.0, 10.0]),
        ("per_agent", 60.0, [None, None, 7.0, None]),
        ("per_command", None, [10.0, 30.0, 7.0, 10.0]),
    ],
)
def test_policies(policy: str, attempt: float | None, steps: list[float | None]) -> None:
    commands = {"shell": 10.0, "claude": 30.0}
    timeouts = TimeoutConfig(agent_timeout=60.0, commands=commands, policy=policy)  # type: ignore[arg-type]
    assert limits(timeouts) == (attempt, steps)


def test_per_command_falls_back_to_the_agents_limit() -> None:
    timeouts = TimeoutConfig(agent_timeout=60.0, commands={"claude": 30.0}, policy="per_command")
    assert limits(timeouts) == (None, [60.0, 30.0, 7.0, 60.0])


def test_one_step_of_a_kind_can_have_a_limit_of_its_own() -> None:
    timeouts = TimeoutConfig(commands={"shell": 10.0, "shell_0": 1.0, "shell_1": 2.0, "shell_2": 3.0})
    assert limits(timeouts) == (None, [1.0, None, 7.0, 3.0])


def test_what_holds_for_every_step_gives_way_to_a_workflows_own_word() -> None:
    standard = {"timeout": 90.0, "timeout_is_standard": True}
    template = (Step(action=Shell("a"), **standard), Step(action=Claude("/b"), **standard))
    for policy, wanted in (
        ("hybrid", [10.0, 90.0]),
        ("per_agent", [None, None]),
        ("per_command", [10.0, 60.0]),
    ):
        timeouts = TimeoutConfig(agent_timeout=60.0, commands={"shell": 10.0}, policy=policy)  # type: ignore[arg-type]
        phase = MapPhase(input=MapInput(source="list"), agent_template=template, timeouts=timeouts)
        assert [step.timeout for step in timed_steps(phase)] == wanted


def test_the_phases_own_limit_comes_first() -> None:
    assert limits(TimeoutConfig(agent_timeout=60.0), agent_timeout=5.0)[0] == 5.0


def test_nothing_said_is_no_limit() -> None:
    assert limits(TimeoutConfig()) == (None, [None, None, 7.0, None])
