"""Options around compound steps, compound steps inside handlers, and resuming in the middle of all that."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from notebook import Notebook
from stages import Tree, interpreter, run, shell
from trio.testing import MockClock

from prodigy.events import CommitCreated, StepCompleted
from prodigy.steps.commands import Order
from prodigy.steps.interpreter import StepFailure
from prodigy.steps.protocol import Outcome, outcome_key
from prodigy.workflow.model import (
    Action,
    Capture,
    Check,
    Claude,
    Expr,
    Foreach,
    GoalSeek,
    Handler,
    Incomplete,
    Items,
    Retry,
    Step,
    Test,
    Text,
    WriteFile,
)


def step(action: Action, **options: Any) -> Step:
    return Step(action=action, **options)


def each(items: list[Any], *steps: Step, **options: Any) -> Foreach:
    return Foreach(input=Items(source="list", items=tuple(items)), steps=steps, **options)


async def failing(*steps: Step, **options: Any) -> tuple[StepFailure, Notebook]:
    notebook = Notebook()
    with pytest.raises(StepFailure) as caught:
        await run(*steps, notebook=notebook, **options)
    return caught.value, notebook


async def test_steps_of_a_foreach_commit_one_by_one_and_keep_their_captures_to_themselves() -> None:
    body = shell("write ${item}", captures=(Capture(name="inner"),))
    notebook, tree = await run(step(each(["a", "b"], body)), shell("say ${inner:-none} ${foreach.total}"))
    assert [path for path in notebook.acted() if path.endswith(".commit")] == [
        "1.foreach[0].1.commit",
        "1.foreach[1].1.commit",
    ]
    assert tree._line(tree.ran[-1]) == "say ${inner:-none} '2'", "the shell's own name"


async def test_parallel_bodies_commit_once_at_the_end() -> None:
    loop = each(["a", "b", "c"], shell("write ${item}", commit_required=True), parallel=2)
    notebook, tree = await run(step(loop, commit_required=True))
    assert [path for path in notebook.acted() if path.endswith(".commit")] == ["1.commit"]
    assert len(tree.committed) == 1


async def test_a_foreach_is_repaired_and_run_again_under_paths_of_its_own() -> None:
    loop = step(each(["a"], shell("check")), on_failure=Handler(steps=(shell("fix"),)))
    notebook, _ = await run(loop)
    assert [path for path in notebook.acted() if "items" not in path] == [
        "1", "1.foreach[0].1", "1.on_failure#1.1", "1/2", "1@2.foreach[0].1",
    ]  # fmt: skip


async def test_a_foreach_is_retried(autojump_clock: MockClock) -> None:
    notebook, _ = await run(step(each(["a"], shell("flaky 2")), retry=Retry(attempts=2)))
    assert "1@2.foreach[0].1" in notebook.acted()


async def test_the_timeout_of_a_compound_step(autojump_clock: MockClock) -> None:
    loop = step(each(["a", "b"], shell("sleep 4")), timeout=6.0)
    failure, notebook = await failing(loop)
    assert failure.failure.error_class == "timeout"
    assert "!1" in notebook.trace()


async def test_captures_and_when_around_goal_seek() -> None:
    seek = GoalSeek(
        goal=Text("green"),
        steps=(shell("fix"),),
        check=Check(steps=(shell("check"),)),
        threshold=100.0,
    )
    notebook, tree = await run(
        step(seek, id="g", captures=(Capture(name="ok", source="success"),)),
        step(seek, when=Expr("not ok")),
        shell("say ${goal_seek.attempts} ${g.score} ${ok}"),
    )
    assert tree._line(tree.ran[-1]) == "say '1' '100' 'true'"
    assert "-2" in notebook.trace()


async def test_a_goal_that_is_not_reached_calls_the_handler() -> None:
    seek = GoalSeek(
        goal=Text("g"), steps=(shell("try"),), check=Check(steps=(shell("check"),)), max_attempts=1
    )
    notebook, _ = await run(step(seek, on_failure=Handler(steps=(shell("fix"),))))
    assert "1@2.goal_seek#1.1" in notebook.acted()


async def test_validate_after_the_step_and_before_the_handler() -> None:
    check = Check(
        steps=(shell("say '{\"completion_percentage\": 40}'"),),
        threshold=90.0,
        on_incomplete=Incomplete(steps=(shell("more ${validation.completion}"),), max_attempts=1),
    )
    handler = Handler(steps=(shell("say ${error.class} ${validation.completion}"),), fail_workflow=False)
    notebook, tree = await run(
        shell("write f", validate=check, on_failure=handler), shell("say ${validation.completion}")
    )
    assert notebook.acted()[:3] == ["1", "1.commit", "1.validate"]
    assert "1.on_incomplete#1.1" in notebook.acted()
    assert any(tree._line(script).startswith("say 'validation-failed' '40") for script in tree.ran)
    assert tree._line(tree.ran[-1]).startswith("say '40")


async def test_a_validation_step_fails_below_its_threshold() -> None:
    failure, _ = await failing(step(Check(steps=(shell("exit 1"),))))
    assert failure.failure.error_class == "validation-failed"


async def test_compound_steps_inside_a_handler(tmp_path: Path) -> None:
    handler = Handler(
        steps=(
            step(WriteFile(path=Text("why.txt"), content=Text("${error.message}"))),
            step(each(["x"], shell("fix ${item}"))),
        )
    )
    await run(shell("check", on_failure=handler), tree=Tree(folder=tmp_path))
    assert (tmp_path / "why.txt").read_text() == "Exited with 7"


async def test_a_test_step_is_a_shell_step_under_its_old_name() -> None:
    _, tree = await run(step(Test("say hi")), shell("say ${test.output} ${shell.output:-none}"))
    assert tree._line(tree.ran[-1]) == "say 'hi' 'none'"


async def test_an_id_that_is_also_one_of_ours() -> None:
    _, tree = await run(shell("say own", id="test"), shell("check", on_failure=Handler(steps=(shell("say ${test.output} ${handler.attempt}"), shell("fix")))))  # fmt: skip
    assert any(tree._line(script) == "say 'own' '1'" for script in tree.ran)


FLOW = (
    step(
        each(
            ["a", "b"],
            shell("write ${item}", captures=(Capture(name="w"),), commit_required=True),
            shell("check ${item}", on_failure=Handler(steps=(shell("note ${error.step}"), shell("fix")))),
        )
    ),
    step(each(["c", "d", "e"], shell("say ${item}"), shell("write ${item}"), parallel=2), id="p"),
    step(
        GoalSeek(
            goal=Text("g"),
            steps=(shell("write g${attempt}", id="tried"),),
            check=Check(steps=(shell("say score: ${attempt}0"),)),
            threshold=30.0,
            convergence=False,
        ),
        id="g",
    ),
    shell(
        "write last ${g.attempts} ${p.total}",
        validate=Check(
            steps=(shell("say '{\"completion_percentage\": ${validation.attempt_number:-0}}'"),),
            threshold=1.0,
            fail_workflow=False,
            on_incomplete=Incomplete(steps=(shell("more"),), max_attempts=1),
        ),
        on_success=(step(each([1], shell("say ${item} ${step.name}"))),),
    ),
)


async def test_wherever_a_run_is_cut_off_running_again_ends_the_same(autojump_clock: MockClock) -> None:
    """No leaf that has an outcome is acted out again, and what is recorded in the end is the same."""
    whole, _ = await run(*FLOW)
    results = {key: summary(outcome) for key, outcome in whole.outcomes().items()}
    for cut in range(len(whole.events)):
        first, again = Notebook(lose_after=cut), Notebook()
        with pytest.raises((ConnectionError, ExceptionGroup)):
            await interpreter(first, Tree()).run(FLOW)
        known = first.outcomes()
        await interpreter(again, as_recorded(known), known).run(FLOW)
        acted = {
            outcome_key(event.step, event.try_) for event in again.events if isinstance(event, StepCompleted)
        }
        assert not acted & known.keys()
        together = known | again.outcomes()
        assert {key: summary(outcome) for key, outcome in together.items()} == results, cut


def summary(outcome: Outcome) -> tuple[Any, ...]:
    return type(outcome), outcome.captures, outcome.stdout.tail, outcome.kind


def as_recorded(known: Mapping[str, Outcome]) -> Tree:
    """The worktree that the recorded outcomes describe: what a cut-off leaf did is undone."""
    tree = Tree(fixed="1.foreach[0].2.on_failure#1.2/1" in known)
    for outcome in known.values():
        if outcome.head_after is not None:
            tree.head = outcome.head_after
            tree.dirty = ("left",) if isinstance(outcome, StepCompleted) and outcome.dirty else ()
    return tree


async def test_commits_are_told_once() -> None:
    """By the step that made them, and not again by the step around it."""
    notebook, _ = await run(step(each(["a", "b"], shell("write ${item}"))))
    told = [event.sha for event in notebook.events if isinstance(event, CommitCreated)]
    assert len(told) == len(set(told)) == 2


def answer(text: str, *, is_error: bool = False) -> str:
    """What the Claude CLI prints at the end of a launch."""
    said = {
        "type": "result",
        "subtype": "success",
        "is_error": is_error,
        "result": text,
        "session_id": "s",
        "num_turns": 2,
        "total_cost_usd": 0.25,
    }
    return json.dumps(said) + "\n"


async def test_claude_steps_take_every_option() -> None:
    def play(line: str, order: Order) -> str | None:
        if order.argv[0] != "claude":
            return None
        return answer("it is 42" if "again" in line else "no idea", is_error="again" not in line)

    handler = Handler(steps=(step(Claude("again: ${claude.output} / ${error.class}")),), strategy="fallback")
    asking = step(Claude("what of ${item.path}"), id="c", idle_timeout=9.0, timeout=60.0, on_failure=handler)
    notebook, tree = await run(asking, shell("say ${c.output} ${c.cost_usd}"), tree=Tree(play=play))
    assert tree.orders[0].argv[-1] == "what of a b"
    assert (tree.orders[0].idle, tree.orders[0].timeout) == (9.0, 60.0)
    assert tree.orders[1].argv[-1] == "again: no idea / claude-error"
    assert tree._line(tree.ran[-1]) == "say 'it is 42' '0.25'"
    assert notebook.trace()[:2] == ["+1", "!1"]
