"""Examples of the documentation do what is said about them, in real runs."""

import re

from pages import ROOT, Block, all_blocks, code, tables
from worlds import World

PAGE = ROOT / "docs/workflow-language.md"
EXAMPLES = {block.title: block for block in all_blocks("yaml") if block.page == PAGE}
COMPARED = re.compile(r"^(PRODIGY_\w+|SHELL_ATTEMPT)$")


def run(world: World, block: Block, *flags: str) -> None:
    done = world.prodigy("run", world.workflow(block.text), "-y", *flags)
    assert done.returncode == 0, done.stderr
    assert world.leftovers() == []


def read(world: World, name: str) -> str:
    return (world.repository / name).read_text()


def test_the_workflow_of_the_readme(world: World) -> None:
    [block] = [block for block in all_blocks("yaml") if block.page == ROOT / "README.md"]
    world.write("$(touch pwned).py", "x = 1   \n")
    world.write("b.py", "x = (\n")
    world.commit()
    run(world, block)
    assert read(world, "$(touch pwned).py") == "x = 1\n"
    assert read(world, "TIDY.md") == "1 of 2 files are tidy\n"
    assert not (world.repository / "pwned").exists()


def test_first(world: World) -> None:
    run(world, EXAMPLES["first.yml"])
    assert read(world, "built.txt")


def test_headlines(world: World) -> None:
    """And what is said about commits: message, author, ids, and what is never committed."""
    run(world, EXAMPLES["headlines.yml"])
    assert read(world, "docs/two words.md") == "# two words.md\ntext\n"
    assert read(world, "HEADLINES.md") == "2 of 2 files have a headline\n"
    assert not (world.repository / "files.txt").exists()
    [message] = [
        text
        for text in world.git("log", "--format=%an%n%B%x00").split("\0")
        if "Item: docs/two words.md" in text
    ]
    author, subject, *body = message.strip().splitlines()
    assert (author, subject) == ("Ann", "headlines: add a headline")
    assert re.fullmatch(r"Prodigy-Item: docs-two-words\.md-[0-9a-f]{6}", body[-1])
    assert re.fullmatch(r"Prodigy-Job: mapreduce-\d{8}-\d{6}-\w{6}", body[-2])


def test_input(world: World) -> None:
    run(world, EXAMPLES["input.yml"])
    assert [event["item"] for event in world.events("item_selected")] == [{"path": "docs/b.md", "size": 400}]
    assert read(world, "docs/b.md") == "a long page\n"


def test_quoting(world: World) -> None:
    run(world, EXAMPLES["quoting.yml"])
    for index, text in enumerate(("$(touch pwned)", "two words", "it's")):
        assert read(world, f"out-{index}.txt") == f"{text}\n" * 3 + f"{text} costs $5\n"


def test_repair(world: World) -> None:
    """One round repairs; a step is tried at most ``1 + max_attempts`` times; a failure can be passed over."""
    run(world, EXAMPLES["repair.yml"])
    tries = [
        (event["step"], event.get("try", 1), event["event_type"])
        for event in world.events()
        if event["event_type"] in {"step_completed", "step_failed"} and event["kind"] == "shell"
    ]
    good, bad = "step_completed", "step_failed"
    handler = ("1.on_failure#1.1", 1, good)
    assert tries == [
        ("1", 1, bad),
        handler,
        ("1", 2, good),
        ("2", 1, bad),
        ("2", 2, bad),
        ("2", 3, good),
        ("3", 1, bad),
    ]


def test_the_environment_of_steps(world: World) -> None:
    """The table names every variable of ours that a step finds, and where."""
    (world.folder / "seen").mkdir()
    world.environ["SEEN"] = str(world.folder / "seen")
    look = 'env -0 | sort -z | tr "\\n\\0" " \\n" > "$SEEN/$PRODIGY_PHASE${SHELL_ATTEMPT:-}"'
    flow = f"""
setup: [{{shell: '{look}', timeout: 1m}}]
map: {{input: [1], agent_template: [{{shell: '{look}; test -n "${{SHELL_ATTEMPT:-}}"', on_failure: {{max_attempts: 1}}}}]}}
reduce: [{{shell: '{look}'}}]
"""
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    rows = {code(row[0])[0]: row[1] for row in tables()["environment"]}
    places = {
        "setup": {"all steps", "steps with a `timeout`"},
        "map": {"all steps", "agents"},
        "map2": {"all steps", "agents", "steps that run again"},
        "reduce": {"all steps", "reduce"},
    }
    for file, known in places.items():
        names = {line.partition("=")[0] for line in (world.folder / "seen" / file).read_text().splitlines()}
        ours = {name for name in names if COMPARED.fullmatch(name)} - {"PRODIGY_HOME"}
        assert ours == {name for name, where in rows.items() if where in known}, file
