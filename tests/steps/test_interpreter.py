"""The interpreter over fakes: order, repair, evidence, and that running it again is resuming."""

from collections.abc import Mapping

import pytest
from notebook import Notebook
from stages import Tree, interpreter, run, shell

from prodigy.events import StepCompleted, StepIntended
from prodigy.git.evidence import CommitWish
from prodigy.steps.commands import LeafPlace, Order
from prodigy.steps.interpreter import StepFailure
from prodigy.steps.protocol import Outcome, outcome_key
from prodigy.workflow.model import Handler


async def test_intent_before_effect_and_outcome_after() -> None:
    notebook, _ = await run(shell("one"), shell("two"))
    assert notebook.trace() == ["+1", "1", "+2", "2"]
    assert notebook.events[1].intent == 1  # type: ignore[union-attr]  # a StepCompleted


async def test_what_a_step_leaves_is_committed_as_a_leaf_of_its_own() -> None:
    notebook, tree = await run(shell("write"), shell("two"))
    assert notebook.trace() == ["+1", "1", "+1.commit", "1.commit", "+2", "2"]
    assert tree.head == "c0*"


async def test_without_auto_commit_the_changes_stay() -> None:
    notebook, tree = await run(shell("write", auto_commit=False))
    assert notebook.trace() == ["+1", "1"]
    assert tree.dirty == ("file",)


async def test_a_refusing_hook_fails_the_step() -> None:
    with pytest.raises(StepFailure) as caught:
        await run(shell("write"), tree=Tree(refuses=True))
    assert caught.value.failure.error_class == "commit-failed"


@pytest.mark.parametrize(
    ("script", "ok"), [("write", True), ("commit", True), ("nothing", False), ("empty-commit", False)]
)
async def test_commit_required(script: str, ok: bool) -> None:
    step = shell(script, commit_required=True)
    if ok:
        await run(step)
    else:
        with pytest.raises(StepFailure) as caught:
            await run(step)
        assert caught.value.failure.error_class == "commit-missing"


async def test_a_failing_step_ends_its_list() -> None:
    notebook = Notebook()
    with pytest.raises(StepFailure) as caught:
        await run(shell("check", name="the check"), shell("never"), notebook=notebook)
    assert notebook.trace() == ["+1", "!1"]
    assert (caught.value.failure.step, caught.value.failure.step_name) == ("1", "the check")


async def test_a_repair_is_proven_by_running_the_step_again() -> None:
    handler = Handler(steps=(shell("fix '${error.exit_code}' ${shell.output}"),), max_attempts=2)
    notebook, tree = await run(shell("check", on_failure=handler), shell("after ${shell.exit_code}"))
    assert notebook.trace() == [
        "+1", "!1", "HandlerStarted", "+1.on_failure#1.1", "1.on_failure#1.1", "HandlerCompleted", "+1/2", "1/2", "+2", "2",
    ]  # fmt: skip
    assert any("='7'" in script for script in tree.ran), "the handler saw the exit code"
    assert any("out\nerr" in script for script in tree.ran), "the handler saw stdout, then stderr"


async def test_a_repair_that_does_not_help_is_tried_up_to_max_attempts() -> None:
    notebook = Notebook()
    with pytest.raises(StepFailure):
        await run(
            shell("check", on_failure=Handler(steps=(shell("try"),), max_attempts=3)), notebook=notebook
        )
    assert [word for word in notebook.trace() if word.startswith("!")] == ["!1", "!1/2", "!1/3", "!1/4"]


async def test_a_failing_handler_ends_its_round() -> None:
    handler = Handler(steps=(shell("check"), shell("never")), max_attempts=2)
    notebook = Notebook()
    with pytest.raises(StepFailure):
        await run(shell("check", on_failure=handler), notebook=notebook)
    assert "+1.on_failure#2.1" in notebook.trace()
    assert "+1.on_failure#1.2" not in notebook.trace()
    assert "+1/2" not in notebook.trace()


async def test_fail_workflow_false_records_the_failure_and_goes_on() -> None:
    handler = Handler(steps=(shell("try"),), fail_workflow=False)
    notebook, _ = await run(shell("check", on_failure=handler), shell("after"))
    assert notebook.trace()[-2:] == ["+2", "2"]


async def test_retry_original_false_skips_the_proof() -> None:
    handler = Handler(steps=(shell("try"),), retry_original=False)
    notebook, _ = await run(shell("check", on_failure=handler), shell("after"))
    assert "+1/2" not in notebook.trace()
    assert notebook.trace()[-1] == "2"


async def test_undefined_variables_fail_the_step_and_nothing_runs() -> None:
    tree = Tree()
    with pytest.raises(StepFailure) as caught:
        await run(shell("echo ${item.size}"), tree=tree)
    assert caught.value.failure.error_class == "undefined-variable"
    assert tree.ran == []


LEAF = LeafPlace(path="1", try_=1, kind="shell", intent=0)
FLOW = (
    shell("write one"),
    shell("check", on_failure=Handler(steps=(shell("write two"), shell("fix")), max_attempts=2)),
    shell("commit three"),
)


async def test_running_again_is_resuming() -> None:
    """Cut off at any record, a second run acts out exactly the leaves that have no outcome, and ends the same."""
    whole, _ = await run(*FLOW)
    for cut in range(len(whole.events)):
        notebook, tree = Notebook(lose_after=cut), Tree()
        with pytest.raises(ConnectionError):
            await interpreter(notebook, tree).run(FLOW)
        known = notebook.outcomes()
        started = [event for event in notebook.events if isinstance(event, StepIntended)]
        in_flight = len(started) > len(known)
        if in_flight:  # what the cut-off leaf did is undone before the run is taken up again
            tree = await replayed(known)
        before = len(tree.ran)
        again = Notebook()
        await interpreter(again, tree, known).run(FLOW)
        assert tree.head == "c0**+"
        assert tree.fixed
        recorded = {
            outcome_key(event.step, event.try_) for event in again.events if isinstance(event, StepCompleted)
        }
        assert not recorded & known.keys()
        commands = [key for key in known if ".commit" not in key]
        assert len(tree.ran) - before == 6 - len(commands)


async def replayed(known: Mapping[str, Outcome]) -> Tree:
    """The worktree as the recorded outcomes describe it."""
    tree = Tree()
    effects = {"1": "write", "2.on_failure#1.1": "write", "2.on_failure#1.2": "fix", "3": "commit"}
    for key, outcome in known.items():
        path = key.split("/")[0]
        if isinstance(outcome, StepCompleted) and path.endswith(".commit"):
            await tree.commit_all("", CommitWish())
        elif isinstance(outcome, StepCompleted) and path in effects:
            await tree.run(Order(argv=(effects[path],), cwd="", env={}), LEAF)
    tree.ran.clear()
    return tree
