"""Our own prompts stand in where a repository has none of that name."""

from pathlib import Path

import pytest

from prodigy.steps.backend import Call
from prodigy.steps.claude_cli import ClaudeCli
from prodigy.steps.packaged_prompts import packaged_commands, with_packaged


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree, {"HOME": str(tmp_path / "user")}


@pytest.mark.parametrize("name", packaged_commands())
def test_the_text_with_its_arguments(places: tuple[Path, dict[str, str]], name: str) -> None:
    tree, environment = places
    text = with_packaged(f"/{name} src/a.py and\nmore", str(tree), environment)
    assert text.startswith("# ")
    assert "src/a.py and\nmore" in text
    assert "$ARGUMENTS" not in text


def test_a_command_without_arguments(places: tuple[Path, dict[str, str]]) -> None:
    text = with_packaged("/prodigy-lint", str(places[0]), places[1])
    assert "Scope: \n" in text


@pytest.mark.parametrize("prompt", ["/prodigy-unknown x", "/other", "see /prodigy-lint", "plain words"])
def test_other_prompts_stay_as_they_are(places: tuple[Path, dict[str, str]], prompt: str) -> None:
    assert with_packaged(prompt, str(places[0]), places[1]) == prompt


@pytest.mark.parametrize(
    "place",
    [
        "tree/.claude/commands/prodigy-lint.md",
        "tree/.claude/commands/team/prodigy-lint.md",
        "tree/.claude/skills/prodigy-lint/SKILL.md",
        "user/.claude/commands/prodigy-lint.md",
    ],
)
def test_what_is_there_counts(tmp_path: Path, places: tuple[Path, dict[str, str]], place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text("theirs")
    assert with_packaged("/prodigy-lint a", str(places[0]), places[1]) == "/prodigy-lint a"


def test_claude_is_told_it(places: tuple[Path, dict[str, str]]) -> None:
    """And what it lists as its commands is no objection to a text."""
    call = Call(prompt="/prodigy-lint a", session_id="s", worktree=str(places[0]), environment=places[1])
    assert ClaudeCli().program(call).argv[-1].startswith("# Lint")
    reader = ClaudeCli().reader(call)
    reader.feed(b'{"type": "system", "subtype": "init", "slash_commands": ["other"]}\n')
    assert reader.objection is None
