"""Values that are worked out for a text: files, parts of JSON files, what commands print."""

import json
from pathlib import Path

import pytest
from notebook import Notebook
from stages import Tree, interpreter, run, shell

from prodigy.events import StepCompleted
from prodigy.steps.interpreter import StepFailure
from prodigy.workflow.model import (
    CommitConfig,
    Environment,
    EnvValue,
    EnvVar,
    Expr,
    Local,
    Retry,
    Text,
)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "a.txt").write_text("it's $(a)\n\n")
    (tmp_path / "d.json").write_text(json.dumps({"a": {"b": [1, {"c": "x"}]}, "n": 5}))
    return Tree(folder=tmp_path)


def said(tree: Tree) -> str:
    return tree._line(tree.ran[-1])


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("${file:a.txt}", "'it'\\''s $(a)'"),
        ("${file:${name}.txt}", "'it'\\''s $(a)'"),
        ("${json:a.b[1].c:d.json}", "'x'"),
        ("${json:$.n:from:d.json}", "'5'"),
        ("${json:a:d.json}", '\'{"b":[1,{"c":"x"}]}\''),
        ("${cmd:say hello}", "'hello'"),
        ("${cmd:say ${name}}", "'a'"),
        ("${cmd:say ${cmd:say inner}}", "'inner'"),
    ],
)
async def test_what_a_text_gets(tree: Tree, reference: str, value: str) -> None:
    await run(shell(f"take {reference}"), tree=tree, roots={"name": "a"})
    assert said(tree) == f"take {value}"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("${file:none.txt}", "there is no file `none.txt`"),
        ("${file:../x}", "is not a file inside the worktree"),
        ("${file:link}", "is not a file inside the worktree"),
        ("${file:.git/config}", "is not a file inside the worktree"),
        ("${file:binary}", "decode"),
        ("${file:large}", "larger than `max_capture`"),
        ("${json:x:d.json}", "nothing is at x"),
        ("${json:x:a.txt}", "is not JSON"),
        ("${json:x:none.json}", "there is no file"),
        ("${cmd:exit 3}", "Exited with 3"),
        ("${cmd:say ${item.gone}}", "`item.gone` is not defined"),
    ],
)
async def test_what_cannot_be_worked_out_fails_the_step(tree: Tree, reference: str, reason: str) -> None:
    (tree.folder / "link").symlink_to("/etc/passwd")
    (tree.folder / "binary").write_bytes(b"\xff\xfe")
    (tree.folder / "large").write_bytes(b"x" * 101)
    with pytest.raises(StepFailure) as caught:
        await run(shell(f"echo {reference}"), tree=tree, max_capture=100)
    assert reason in caught.value.failure.message
    assert tree.ran in ([], ["exit 3"])


async def test_what_no_text_makes_use_of_may_fail(tree: Tree) -> None:
    step = shell("say ${item.path:-${file:none}}", when=Expr("name == 'a' or ${file:none} == ''"))
    await run(step, tree=tree, roots={"name": "a"})
    assert said(tree) == "say 'a b'"


async def test_a_value_is_worked_out_once_for_each_try_and_recorded(tree: Tree) -> None:
    count = iter("12345")
    tree.play = lambda line, _order: next(count) if line == "next" else None
    step = shell("fail ${cmd:next} ${cmd:next}", retry=Retry(attempts=2))
    with pytest.raises(StepFailure):
        await run(step, tree=tree)
    assert [tree._line(script) for script in tree.ran] == ["next", "fail '1' '1'", "next", "fail '2' '2'"]


async def test_a_resumed_run_sees_the_same_value(tree: Tree) -> None:
    notebook = Notebook()
    step = shell("say ${file:a.txt} ${cmd:say once}")
    await run(step, tree=tree, notebook=notebook)
    recorded = notebook.outcomes()
    kept = {key: outcome for key, outcome in recorded.items() if not key.startswith("1/")}
    assert len(kept) == len(recorded) - 1 == 2
    (tree.folder / "a.txt").write_text("changed")
    again = Tree(folder=tree.folder)
    await interpreter(Notebook(), again, kept).run((step,))
    assert [again._line(script) for script in again.ran] == [said(tree)]


async def test_a_command_says_how_it_left_the_worktree(tree: Tree) -> None:
    """So that a step that is cut off after it goes on with its value."""
    notebook, _ = await run(shell("say ${cmd:say a}"), tree=tree)
    [value] = [
        event for event in notebook.events if isinstance(event, StepCompleted) and event.kind == "computed"
    ]
    assert (value.value, value.head_after, value.dirty) == ("a", "c0", False)


async def test_nothing_is_run_for_a_step_that_does_not_run(tree: Tree) -> None:
    await run(shell("say ${cmd:say a}", when=Expr("${cmd:say b} == 'c'")), tree=tree)
    assert tree.ran == ["say b"]


async def test_every_text_of_a_step_may_ask(tree: Tree) -> None:
    step = shell(
        "env A",
        environment=Environment(
            variables=(EnvVar(name="A", values={"": EnvValue(kind="text", text="${file:a.txt}")}),)
        ),
        locals=(Local(name="who", text=Text("${cmd:say me}")),),
        when=Expr("${json:n:d.json} == 5 and who == 'me'"),
        commit=CommitConfig(message_template=Text("made of ${json:n:d.json}")),
    )
    notebook, _ = await run(step, shell("write x", commit=step.commit), tree=tree)
    [outcome] = [event for event in notebook.events if isinstance(event, StepCompleted) and event.step == "1"]
    assert outcome.stdout.tail == "it's $(a)\n"
    assert tree.committed[0][0].startswith("made of 5")
