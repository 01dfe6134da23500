"""`foreach`: where items come from, what their steps see, and what a failing one does to the others."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from fakes.runner import FakeRunner
from notebook import Cut, Notebook

from prodigy.steps.durable import Done, LeafFailed
from prodigy.steps.foreach import foreach
from prodigy.workflow.model import Capture, Expr, Foreach, Items, Shell, Step


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def listing(*items: Any) -> Items:
    return Items(source="list", items=items)


def steps(*scripts: str) -> tuple[Step, ...]:
    return tuple(Step(action=Shell(script)) for script in scripts)


async def loop(
    runner: FakeRunner, given: Items, *body: Step | str, try_: int = 1, **options: Any
) -> tuple[Done, dict[str, Any]]:
    do = tuple(Step(action=Shell(part)) if isinstance(part, str) else part for part in body)
    action = Foreach(input=given, steps=do or steps("echo ${item}"), **options)
    done = await foreach(runner, Step(action=action), action, "2", try_)
    return done, done.value


async def test_items_in_order(tree: Path) -> None:
    runner = FakeRunner(tree)
    done, value = await loop(runner, listing("a", "b", "c"))
    assert done.stdout.tail == "a\nb\nc\n"
    assert (value["total"], value["successful"], value["failed"]) == (3, 3, 0)
    assert value["results"][1] == {
        "index": 1, "item_id": "b", "item": "b", "success": True, "output": "b", "error": None,
    }  # fmt: skip
    assert runner.notebook.intended() == [
        "2.foreach.items", "2.foreach[0].1", "2.foreach[1].1", "2.foreach[2].1",
    ]  # fmt: skip


async def test_values_are_data(tree: Path) -> None:
    """Whatever an item holds is printed, never run."""
    nasty = ["$(touch pwned)", "'; touch pwned; '", "-n", "`touch pwned`", "a\nb"]
    done, _ = await loop(
        FakeRunner(tree), listing(*nasty), "printf '%s\\n' ${item} \"${item}\" '${item}' # ${item}"
    )
    assert done.stdout.tail == "".join(f"{item}\n" * 3 for item in nasty)
    assert not (tree / "pwned").exists()


async def test_variables(tree: Path) -> None:
    echo = 'echo "${item.n} ${index}/${total} ${foreach.index} ${foreach.item.n} ${item_index} ${item_total} ${item_id}"'
    done, _ = await loop(FakeRunner(tree), listing({"n": 7}), echo, 'echo "$item_json"')
    assert done.stdout.tail == '{"n":7}\n'
    done, _ = await loop(FakeRunner(tree), listing({"n": 7}), echo)
    words = done.stdout.tail.split()
    assert words[:-1] == ["7", "0/1", "0", "7", "0", "1"]
    assert len(words[-1]) == 12


async def test_item_file(tree: Path) -> None:
    """It is written where a text asks for it."""
    done, _ = await loop(FakeRunner(tree), listing({"a": "b"}), "cat ${item_file}")
    assert json.loads(done.stdout.tail) == {"a": "b"}


async def test_captures_stay_inside(tree: Path) -> None:
    runner = FakeRunner(tree)
    body = Step(action=Shell("echo x"), captures=(Capture(name="mine"),))
    done, _ = await loop(runner, listing(1, 2), body, "echo ${mine}${item}")
    assert done.stdout.tail == "x1\nx2\n"
    assert not runner.variables.knows("mine")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("echo a; echo; echo b", ["a", "b"]),
        ("seq 3", [1, 2, 3]),
        ('echo \'["x", {"y": 1}]\'', ["x", {"y": 1}]),
        ("true", []),
        ("printf 'one word'", ["one word"]),
        ("echo ${prefix}1", ["p1"]),
    ],
)
async def test_commands(tree: Path, text: str, items: list[Any]) -> None:
    """Lines, JSON lines or one JSON document."""
    runner = FakeRunner(tree, roots={"prefix": "p"})
    for source in ("command", "auto"):
        _, value = await loop(runner, Items(source=source, text=text), "true")  # type: ignore[arg-type]  # the loop's
        assert [result["item"] for result in value["results"]] == items
        runner = FakeRunner(tree, roots={"prefix": "p"})


async def test_long_output_is_read_whole(tree: Path) -> None:
    """More than is kept in memory."""

    class Logged(FakeRunner):
        async def script(self, script: str, *, path: str, timeout: float | None = None) -> Done:
            done = await super().script(script, path=path, timeout=timeout)
            (tree / "log").write_text(done.stdout.tail)
            import msgspec

            cut = msgspec.structs.replace(done.stdout, tail="9\n", cut=True, log=str(tree / "log"))
            return msgspec.structs.replace(done, stdout=cut)

    _, value = await loop(Logged(tree), Items(source="command", text="seq 5"), "true")
    assert value["total"] == 5


async def test_a_reference_to_a_list(tree: Path) -> None:
    """Its elements with their types; JSON text that is a list counts as one."""
    runner = FakeRunner(tree, roots={"files": [{"p": 1}, "b"], "text": '["x", "y"]', "word": "seq"})
    for text, items in (("${files}", [{"p": 1}, "b"]), ("${text}", ["x", "y"])):
        _, value = await loop(runner, Items(source="auto", text=text), "true")
        assert [result["item"] for result in value["results"]] == items
        runner = FakeRunner(tree, roots={"text": '["x", "y"]'})


async def test_a_reference_to_text_is_a_command(tree: Path) -> None:
    runner = FakeRunner(tree, roots={"word": "pwd"})
    _, value = await loop(runner, Items(source="auto", text="${word}"), "true")
    assert value["results"][0]["item"] == str(tree)


async def test_files(tree: Path) -> None:
    (tree / "w.json").write_text('{"items": [{"p": "a", "n": 5}, {"p": "b", "n": 9}, {"p": "c", "n": 7}]}')
    given = Items(source="file", text="${name}.json")
    runner = FakeRunner(tree, roots={"name": "w"})
    options = {
        "json_path": "$.items[*]", "filter": Expr("item.n > 5"), "sort_by": "item.n", "max_items": 1,
    }  # fmt: skip
    done, _ = await loop(runner, given, "echo ${item.p}", **options)
    assert done.stdout.tail == "c\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Items(source="file", text="none.json"), "could not read `none.json`"),
        (Items(source="file", text="bad.json"), "bad.json: "),
        (Items(source="command", text="exit 3"), "Exited with 3"),
    ],
)
async def test_unreadable_items(tree: Path, given: Items, message: str) -> None:
    (tree / "bad.json").write_text("{")
    with pytest.raises(LeafFailed) as raised:
        await loop(FakeRunner(tree), given)
    assert message in raised.value.failure.message


async def test_no_items(tree: Path) -> None:
    done, value = await loop(FakeRunner(tree), listing())
    assert (done.stdout.tail, value["total"]) == ("", 0)


async def test_first_failure_ends_the_loop(tree: Path) -> None:
    runner = FakeRunner(tree)
    with pytest.raises(LeafFailed) as raised:
        await loop(runner, listing("a", "b", "c"), "test ${item} != b", "echo ${item}")
    failed = raised.value
    assert failed.failure.message == "Item 1 (`b`): Exited with 1"
    assert failed.failure.exit_code == 1
    assert (failed.done.value["successful"], failed.done.value["failed"]) == (1, 1)
    assert "2.foreach[2].1" not in runner.notebook.intended()


async def test_continue_on_error(tree: Path) -> None:
    """All run, the step succeeds, failures are told."""
    done, value = await loop(
        FakeRunner(tree), listing("a", "b", "c"), "test ${item} != b", "echo ${item}", continue_on_error=True
    )
    assert done.stdout.tail == "a\nc\n"
    assert [result["success"] for result in value["results"]] == [True, False, True]
    assert value["results"][1]["error"] == "Exited with 1"


async def test_parallel_bodies_overlap_and_do_not_commit(tree: Path) -> None:
    """Each waits for the other; results are in the order of items all the same."""
    meet = "touch ${item}; while ! test -e a || ! test -e b; do sleep 0.01; done; echo ${item}"
    runner = FakeRunner(tree)
    with trio.fail_after(120):
        done, _ = await loop(runner, listing("a", "b"), meet, parallel=2)
    assert done.stdout.tail == "a\nb\n"
    assert [committed for _, committed in runner.ran] == [False, False]


async def test_one_at_a_time_commits(tree: Path) -> None:
    runner = FakeRunner(tree)
    await loop(runner, listing("a"), "true")
    assert runner.ran == [("true", True)]


async def test_limit_of_parallel_bodies(tree: Path) -> None:
    count = "mkdir -p live; touch live/${item}; ls live | wc -l > seen.${item}; sleep 0.05; rm live/${item}; cat seen.${item}"
    done, _ = await loop(FakeRunner(tree), listing(*range(8)), count, parallel=3)
    assert 1 <= max(int(line) for line in done.stdout.tail.split()) <= 3


async def test_parallel_failure_lets_the_others_end(tree: Path) -> None:
    """What runs ends; what has not begun does not begin."""
    body = 'if test ${item} = a; then exit 4; fi; while ! test -e gone; do sleep 0.01; done; echo "${item}" > ended'
    runner = FakeRunner(tree)

    async def release() -> None:
        while "2.foreach[0].1/1" not in runner.notebook.outcomes():
            await trio.sleep(0.01)
        (tree / "gone").touch()

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(release)
            with pytest.raises(LeafFailed):
                await loop(runner, listing("a", "b", "c", "d"), body, parallel=2)
    assert (tree / "ended").read_text() == "b\n"
    assert "2.foreach[3].1" not in runner.notebook.intended()


async def test_nested_loops(tree: Path) -> None:
    inner = Foreach(input=Items(source="auto", text="${item.parts}"), steps=steps("echo ${item}"))
    given = listing({"parts": ["a", "b"]}, {"parts": ["c"]})
    done, _ = await loop(FakeRunner(tree), given, Step(action=inner))
    assert done.stdout.tail == "a\nb\nc\n"


async def test_resumed_wherever_it_was_cut(tree: Path) -> None:
    """The same items although what they came from has changed, the same result, and no body runs twice."""
    given = Items(source="command", text="cat list")
    whole = Notebook()
    (tree / "list").write_text("a\nb\nc\n")
    expected, _ = await loop(FakeRunner(tree, whole), given, "echo ${item}")
    for length in range(len(whole.events)):
        (tree / "list").write_text("a\nb\nc\n")
        first = Notebook(lose_after=length)
        with pytest.raises(Cut):
            await loop(FakeRunner(tree, first), given, "echo ${item}")
        if "2.foreach.items/1" in first.outcomes():
            (tree / "list").write_text("x\n")
        second = Notebook()
        done, value = await loop(FakeRunner(tree, second, recorded=first.outcomes()), given, "echo ${item}")
        assert (done.stdout.tail, value["total"]) == (expected.stdout.tail, 3)
        assert not set(first.outcomes()) & {f"{path}/1" for path in second.intended()}


async def test_later_tries_have_leaves_of_their_own(tree: Path) -> None:
    runner = FakeRunner(tree)
    await loop(runner, listing("a"), try_=2)
    assert runner.notebook.intended() == ["2@2.foreach.items", "2@2.foreach[0].1"]
