"""``prodigy init``: what it writes, what it leaves alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from prodigy.steps.packaged_prompts import packaged_commands
from prodigy.workflow.load import load_workflow
from prodigy.workflow.schema import workflow_schema

PROMPT = ".claude/commands/prodigy-lint.md"
EXAMPLE = "workflows/example.yml"
SCHEMA = ".prodigy/workflow.schema.json"


@pytest.fixture
def repository(desk: Any) -> Any:
    git = desk.directory / ".git"
    (git / "objects").mkdir(parents=True)
    (git / "refs").mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    return desk


def results(desk: Any, *flags: str) -> dict[str, str]:
    said = desk.call("init", "--json", *flags)
    assert said.code == 0, said.err
    return {file["what"]: file["result"] for file in json.loads(said.out)["files"]}


def test_everything_is_written_once(repository: Any) -> None:
    first = results(repository)
    assert len(first) == len(packaged_commands()) + 2
    assert set(first.values()) == {"written"}
    assert set(results(repository).values()) == {"unchanged"}


def test_what_it_says(repository: Any) -> None:
    said = repository.call("init", "-c", "lint", "--no-example")
    assert said.out == f"written      {PROMPT}\nwritten      {SCHEMA}\n"
    assert said.err == "commit these files: worktrees see only what is committed\n"


def test_the_example_is_valid_and_names_its_schema(repository: Any) -> None:
    results(repository)
    text = (repository.directory / EXAMPLE).read_bytes()
    loaded = load_workflow(text, "example.yml")
    assert loaded.problems == ()
    first = text.decode().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../.prodigy/workflow.schema.json"
    assert json.loads((repository.directory / SCHEMA).read_text()) == workflow_schema()
    called = {
        step.text.split()[0].removeprefix("/")
        for step in loaded.workflow.steps.steps  # type: ignore[union-attr] # it has steps
        if step.kind == "claude"
    }
    assert called <= set(packaged_commands())


def test_what_differs_is_kept(repository: Any) -> None:
    results(repository)
    file = repository.directory / PROMPT
    file.write_text("mine\n")
    said = repository.call("init")
    assert said.code == 0
    assert f"kept         {PROMPT}\n" in said.out
    assert "--force" in said.err
    assert file.read_text() == "mine\n"


def test_force_keeps_the_old_one_beside_it(repository: Any) -> None:
    results(repository)
    file = repository.directory / PROMPT
    ours = file.read_text()
    file.write_text("mine\n")
    found = results(repository, "--force")
    assert found.pop(PROMPT) == "overwritten"
    assert set(found.values()) == {"unchanged"}
    assert file.read_text() == ours
    assert (repository.directory / f"{PROMPT}.bak").read_text() == "mine\n"


@pytest.mark.parametrize("names", ["lint", "prodigy-lint", "/prodigy-lint", " lint , lint "])
def test_only_some_prompts(repository: Any, names: str) -> None:
    assert results(repository, "-c", names, "--no-example").keys() == {PROMPT, SCHEMA}


def test_a_prompt_that_there_is_not(repository: Any) -> None:
    said = repository.call("init", "-c", "lint,code-reveiw")
    assert said.code == 2
    assert "bad-value" in said.err
    assert "did you mean `prodigy-code-review`?" in said.err
    assert not (repository.directory / ".claude").exists(), "nothing is written"


def test_outside_of_a_repository(desk: Any) -> None:
    said = desk.call("init")
    assert said.code == 2
    assert "not-a-git-repository" in said.err
    assert list(desk.directory.iterdir()) == []


def test_a_folder_below_the_root(repository: Any) -> None:
    below = repository.directory / "deep" / "er"
    below.mkdir(parents=True)
    repository.call("init", "-c", "lint", "--path", "deep/er")
    assert (repository.directory / PROMPT).is_file()
    assert list(below.iterdir()) == []


def test_a_linked_worktree_writes_into_the_main_one(repository: Any, tmp_path: Path) -> None:
    linked, inside = tmp_path / "linked", repository.directory / ".git" / "worktrees" / "linked"
    linked.mkdir()
    inside.mkdir(parents=True)
    (inside / "commondir").write_text("../..\n")
    (linked / ".git").write_text(f"gitdir: {inside}\n")
    repository.call("init", "-c", "lint", "--path", str(linked))
    assert (repository.directory / PROMPT).is_file()
    assert not (linked / ".claude").exists()


@pytest.mark.parametrize("name", packaged_commands())
def test_prompts_say_how_to_work(name: str, repository: Any) -> None:
    """Every prompt works unattended, in its folder, and ends in a line that can be found."""
    results(repository)
    text = (repository.directory / f".claude/commands/{name}.md").read_text()
    assert text.startswith("---\ndescription: ")
    flat = " ".join(text.split())
    for demand in (
        "$ARGUMENTS",
        "work unattended",
        "do not ask",
        "Stay inside the current directory",
        "ommit",
        "`RESULT: ",
    ):
        assert demand in flat, demand
    assert "RESULT:" in text.rstrip().splitlines()[-1] or "RESULT:" in text.rstrip().splitlines()[-2]
