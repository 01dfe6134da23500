"""Handlers: strategies, nesting, what they can read, and how their own failure counts."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from notebook import Notebook
from stages import Tree, interpreter, run, shell
from trio.testing import MockClock

from prodigy.events import HandlerCompleted, StepCompleted, StepWarned
from prodigy.steps.interpreter import StepFailure
from prodigy.steps.protocol import Outcome, outcome_key
from prodigy.workflow.model import Capture, Deferred, ExitCodes, Expr, Handler, Retry, Step


async def failing(*steps: Step, **options: Any) -> tuple[StepFailure, Notebook]:
    notebook = Notebook()
    with pytest.raises(StepFailure) as caught:
        await run(*steps, notebook=notebook, **options)
    return caught.value, notebook


async def test_what_a_handler_reads() -> None:
    script = (
        "say ${error.message}|${error.exit_code}|${error.step}|${error.class}|${shell.stderr}|${test.exit_code}"
        "|${test.attempt}|${handler.attempt}/${handler.max_attempts}|${error.timestamp}"
    )
    _, tree = await run(
        shell(
            "check", name="the check", on_failure=Handler(steps=(shell(script), shell("fix")), max_attempts=2)
        )
    )
    assert tree._line(tree.ran[1]) == (
        "say 'Exited with 7'|'7'|'the check'|'command-failed'|'err'|'7'|'1'|'1'/'2'|'2026-01-02T03:04:05+00:00'"
    )


async def test_a_file_tells_the_error() -> None:
    _, tree = await run(shell("check", on_failure=Handler(steps=(shell("fix"),))))
    told = json.loads(tree.left[tree.orders[1].env["PRODIGY_ERROR_FILE"]])
    assert (told["class"], told["exit_code"], told["stderr_tail"]) == ("command-failed", 7, "err\n")
    assert "PRODIGY_ERROR_FILE" not in tree.orders[2].env


async def test_the_output_of_one_round_is_read_in_the_next_and_after() -> None:
    handler = Handler(steps=(shell("say [${handler.output:-}]"),), max_attempts=2, fail_workflow=False)
    _, tree = await run(shell("fail", on_failure=handler), shell("say ${handler.output}"))
    says = [script for script in tree.ran if "say" in script]
    assert [script.count("[") for script in says] == [1, 2, 2]


async def test_what_is_recent_in_a_handler_stays_there() -> None:
    _, tree = await run(
        shell("check", on_failure=Handler(steps=(shell("say inner"), shell("fix")))),
        shell("say ${shell.exit_code} ${last.attempt} ${error.message:-none}"),
    )
    assert tree._line(tree.ran[-1]) == "say '0' '2' 'none'"


async def test_captures_of_a_handler_reach_what_comes_after() -> None:
    handler = Handler(steps=(shell("say v", id="inner", captures=(Capture(name="got"),)), shell("fix")))
    _, tree = await run(shell("check", on_failure=handler), shell("say ${got} ${inner.output}"))
    assert tree._line(tree.ran[-1]) == "say 'v' 'v'"


async def test_fallback_takes_the_place_of_the_step() -> None:
    handler = Handler(steps=(shell("say instead"),), strategy="fallback")
    notebook, tree = await run(
        shell("fail", id="it", on_failure=handler), shell("say ${it.output} ${it.success}")
    )
    assert notebook.acted() == ["1", "1.on_failure#1.1", "2"]
    assert tree._line(tree.ran[-1]) == "say 'instead' 'true'"


async def test_cleanup_runs_once_and_repairs_nothing() -> None:
    handler = Handler(steps=(shell("fix"),), strategy="cleanup", max_attempts=3)
    failure, notebook = await failing(shell("check", on_failure=handler))
    assert failure.failure.exit_code == 7
    assert notebook.acted() == ["1", "1.on_failure#1.1"]


async def test_a_handler_without_steps_runs_the_step_again() -> None:
    notebook, _ = await run(shell("flaky 3", on_failure=Handler(max_attempts=2)))
    assert notebook.acted() == ["1", "1/2", "1/3"]


async def test_a_fatal_handler_failure_fails_at_once() -> None:
    handler = Handler(steps=(shell("fail"),), handler_failure_fatal=True, fail_workflow=False, max_attempts=3)
    failure, notebook = await failing(shell("check", on_failure=handler), shell("never"))
    assert failure.failure.step == "1.on_failure#1.1"
    assert notebook.acted() == ["1", "1.on_failure#1.1"]


async def test_handlers_nest() -> None:
    inner = Handler(steps=(shell("fix"),))
    handler = Handler(steps=(shell("check", on_failure=inner),))
    notebook, _ = await run(shell("check", on_failure=handler))
    assert notebook.acted() == [
        "1", "1.on_failure#1.1", "1.on_failure#1.1.on_failure#1.1", "1.on_failure#1.1/2", "1/2",
    ]  # fmt: skip


async def test_what_is_tolerated_is_told() -> None:
    notebook, tree = await run(
        shell("check", id="c", on_failure=Handler(max_attempts=0, fail_workflow=False)),
        shell("say ${c.success} ${c.exit_code} ${last.success}"),
    )
    assert [event.message for event in notebook.of(StepWarned)] == ["Exited with 7"]
    assert tree._line(tree.ran[-1]) == "say 'false' '7' 'false'"
    assert notebook.acted() == ["1", "2"]


async def test_options_of_a_handlers_own_steps_apply() -> None:
    steps = (
        shell("skipped", when=Expr("error.exit_code == 1")),
        shell("write f", commit_required=True),
        shell("flaky 2", retry=Retry(attempts=2)),
        shell("fix"),
    )
    notebook, _ = await run(shell("check", on_failure=Handler(steps=steps)))
    assert "1.on_failure#1.2.commit" in notebook.acted()
    assert "1.on_failure#1.3/2" in notebook.acted()
    assert "1.on_failure#1.1" not in notebook.acted()


async def test_a_round_has_its_time(autojump_clock: MockClock) -> None:
    handler = Handler(steps=(shell("sleep 9"), shell("fix")), timeout=5.0, max_attempts=2)
    failure, notebook = await failing(shell("check", on_failure=handler))
    assert failure.failure.exit_code == 7
    assert [event.ok for event in notebook.of(HandlerCompleted)] == [False, False]
    assert notebook.acted().count("1.on_failure#2.1") == 1


async def test_a_resumed_run_knows_that_the_time_of_a_round_was_up(autojump_clock: MockClock) -> None:
    step = shell("check", on_failure=Handler(steps=(shell("sleep 9"),), timeout=5.0, fail_workflow=False))
    notebook, _ = await run(step)
    again = Notebook()
    await interpreter(again, Tree(), notebook.outcomes()).run((step,))
    assert again.acted() == []


async def test_rounds_that_are_known_late() -> None:
    handler = Handler(
        steps=(shell("try"),), max_attempts=Deferred(source="${item.n}", kind="integer", least=1)
    )
    _, notebook = await failing(shell("check", on_failure=handler), roots={"item": {"n": 2}})
    assert notebook.acted().count("1.on_failure#2.1") == 1


async def test_on_exit_code_runs_for_every_proof() -> None:
    on = (ExitCodes(ranges=((0, 0),), negated=True, steps=(shell("note"),)),)
    step = shell("check", on_exit_code=on, on_failure=Handler(steps=(shell("try"),)))
    _, notebook = await failing(step)
    assert notebook.acted() == ["1", "1.on_exit_code.1", "1.on_failure#1.1", "1/2", "1.on_exit_code#2.1"]


FLOW = (
    shell("say 3", captures=(Capture(name="n", format="number"),)),
    shell("skipped", when=Expr("n > 3")),
    shell(
        "check ${n} ${uuid}",
        id="c",
        retry=Retry(attempts=2, budget=100.0),
        on_exit_code=(ExitCodes(ranges=((7, 7),), steps=(shell("write noted"),)),),
        on_failure=Handler(
            steps=(
                shell("fail", on_failure=Handler(steps=(shell("say help"),), strategy="fallback")),
                shell("fix", when=Expr("handler.attempt == 2")),
                shell("write fixed"),
            ),
            max_attempts=3,
        ),
        on_success=(shell("say ${shell.attempt}", captures=(Capture(name="tries"),)),),
    ),
    shell("write ${tries} ${c.exit_code} ${step.commit_count}"),
)


async def test_wherever_a_run_is_cut_off_running_again_ends_the_same(autojump_clock: MockClock) -> None:
    """No leaf that has an outcome is acted out again, and what is recorded in the end is the same."""
    whole, tree = await run(*FLOW)
    assert tree.fixed
    results = {key: summary(outcome) for key, outcome in whole.outcomes().items()}
    for cut in range(len(whole.events)):
        first, again = Notebook(lose_after=cut), Notebook()
        world = Tree()
        with pytest.raises(ConnectionError):
            await interpreter(first, world).run(FLOW)
        known = first.outcomes()
        world = as_recorded(known)
        await interpreter(again, world, known).run(FLOW)
        acted = {
            outcome_key(event.step, event.try_) for event in again.events if isinstance(event, StepCompleted)
        }
        assert not acted & known.keys()
        together = known | again.outcomes()
        assert {key: summary(outcome) for key, outcome in together.items()} == results


def summary(outcome: Outcome) -> tuple[type, Any, Any]:
    """What of an outcome is the same in every run; random numbers are not."""
    return type(outcome), outcome.captures, None if outcome.kind == "asked" else outcome.value


def as_recorded(known: Mapping[str, Outcome]) -> Tree:
    """The worktree that the recorded outcomes describe: what a cut-off leaf did is undone."""
    tree = Tree(fixed="3.on_failure#2.2/1" in known)
    for outcome in known.values():
        if outcome.head_after is not None:
            tree.head = outcome.head_after
            tree.dirty = ("left",) if isinstance(outcome, StepCompleted) and outcome.dirty else ()
    return tree
