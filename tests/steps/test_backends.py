"""Which backends there are: ours, and those of other packages."""

from pathlib import Path

import pytest

from prodigy.errors import UsageError
from prodigy.events import Backend
from prodigy.steps.backends import names, opened, require
from prodigy.steps.claude_cli import ClaudeCli


def offer(folder: Path, name: str) -> None:
    """A package that offers a backend, as an installer leaves it."""
    folder.joinpath("other_agent.py").write_text("def made(settings):\n    return ('made with', settings)\n")
    about = folder / "other_agent-1.0.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: other-agent\nVersion: 1.0\n")
    about.joinpath("entry_points.txt").write_text(f"[prodigy.backends]\n{name} = other_agent:made\n")


def test_ours() -> None:
    assert isinstance(opened(Backend()), ClaudeCli)


def test_settings_are_what_it_is_made_with() -> None:
    made = opened(Backend(settings={"command": ["npx", "claude"]}))
    assert isinstance(made, ClaudeCli)
    assert made._command == ("npx", "claude")


def test_one_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, "other")
    monkeypatch.syspath_prepend(tmp_path)
    assert require("other") == "other"
    made: object = opened(Backend(name="other", settings={"a": 1}))
    assert made == ("made with", {"a": 1})


def test_ours_cannot_be_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that happens to be installed does not change what a run launches."""
    offer(tmp_path, "claude")
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(opened(Backend()), ClaudeCli)
    assert names().count("claude") == 1


def test_an_unknown_one() -> None:
    with pytest.raises(UsageError) as raised:
        require("claud")
    assert raised.value.code == "backend-unknown"
    assert raised.value.hint == "did you mean `claude`?"
