"""Completion as bash asks for it, with the program that is installed."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import World

FLOW = """
name: tidy
mode: mapreduce
map:
  input: {list: ["src/a.py", "src/$(touch gone).py", "src/b c.py"]}
  agent_template: [{shell: 'true'}]
"""


@pytest.fixture
def ran(world: World) -> World:
    world.prodigy("run", world.workflow(FLOW), "--no-merge")
    return world


def completed(world: World, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    folder = world.folder / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "prodigy"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m prodigy "$@"\n')
    program.chmod(0o755)
    script = world.prodigy("completion", "bash").stdout
    typed = shlex.join(("prodigy", *words))
    asked = f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words)}; _prodigy; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    environ = {**os.environ, **world.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    said = subprocess.run(
        ["bash", "-c", asked], cwd=world.repository, env=environ, capture_output=True, text=True, check=True
    )
    assert said.stderr == ""
    return said.stdout.split("\n")[:-1] if said.stdout.strip() else []


def test_verbs_flags_and_values(world: World) -> None:
    assert completed(world, "st") == ["status", "stop"]
    assert completed(world, "dlq", "re") == ["reprocess", "retry"]
    assert {"run", "status", "report"} <= set(completed(world, ""))
    assert "analytics" not in completed(world, ""), "old names are not recommended"
    assert completed(world, "status", "--w") == ["--watch"]
    assert "--no-all-repos" not in completed(world, "status", "--")
    assert completed(world, "status", "--color", "a") == ["always", "auto"]
    assert completed(world, "run", "") == [], "files are for the shell"


def test_runs_and_items(ran: World) -> None:
    [run] = ran.json("sessions", "ls")["sessions"]
    tail = run["stem"][-6:]
    assert sorted(completed(ran, "resume", "")) == sorted(["latest", tail])
    assert completed(ran, "dlq", "show", "--job", tail[:3]) == [tail]
    assert completed(ran, "events", "--item", "src/") == ["src/a.py"], "nothing that a shell would act on"
    assert not (ran.repository / "gone").exists()
    assert (
        json.loads(ran.prodigy("sessions", "show", "latest", "--json").stdout)["run"]["stem"] == run["stem"]
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(world: World, shell: str, tmp_path: Path) -> None:
    said = world.prodigy("completion", shell)
    assert (said.returncode, said.stderr) == (0, "")
    assert "completion words" in said.stdout
    if shell == "bash":
        file = tmp_path / "script"
        file.write_text(said.stdout)
        assert subprocess.run(["bash", "-n", str(file)], check=False).returncode == 0


# -- installing ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def home(world: World, tmp_path: Path) -> Path:
    """A home folder of the user's own."""
    folder = tmp_path / "user's home"
    folder.mkdir()
    world.environ["HOME"] = str(folder)
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR", "BASH_COMPLETION_USER_DIR"):
        world.environ.pop(name, None)
    return folder


def test_an_installed_script_is_read_by_bash(world: World, home: Path) -> None:
    """Its own files stay as they are but for one line; a second time changes nothing."""
    (home / ".bashrc").write_text("export MINE=1")
    world.environ["SHELL"] = "/usr/bin/bash"
    first = world.json("--install-completion")
    assert (first["shell"], first["files"][0]["result"]) == ("bash", "written")
    script = Path(first["files"][0]["what"])
    assert script.read_text() == world.prodigy("completion", "bash").stdout
    told = {one.read_text() for one in (script, home / ".bashrc")}
    again = world.json("completion", "install")
    assert {one["result"] for one in again["files"]} == {"unchanged"}
    assert {one.read_text() for one in (script, home / ".bashrc")} == told
    lines = (home / ".bashrc").read_text().splitlines()
    assert lines[0] == "export MINE=1"
    read = "\n".join(lines[1:] or [f". {shlex.quote(str(script))}"])
    said = subprocess.run(
        ["bash", "-c", f"{read}\ncomplete -p prodigy"], capture_output=True, text=True, check=True
    )
    assert "-F _prodigy prodigy" in said.stdout


def test_an_outdated_script_is_overwritten(world: World, home: Path) -> None:
    place = home / ".config/fish/completions/prodigy.fish"
    place.parent.mkdir(parents=True)
    place.write_text("old")
    [told] = world.json("completion", "install", "fish")["files"]
    assert (told["what"], told["result"]) == (str(place), "overwritten")
    assert place.read_text() == world.prodigy("completion", "fish").stdout


def test_zsh_keeps_a_link_to_its_settings(world: World, home: Path) -> None:
    """Settings that lie in a repository of the user's are extended where they lie."""
    kept = home / "dotfiles"
    kept.mkdir()
    (kept / "zshrc").write_text("bindkey -e\n")
    (home / ".zshrc").symlink_to(kept / "zshrc")
    script, settings = world.json("completion", "install", "zsh")["files"]
    assert (script["result"], settings["result"]) == ("written", "extended")
    assert (home / ".zshrc").is_symlink()
    first, line = (kept / "zshrc").read_text().splitlines()
    assert first == "bindkey -e"
    assert shlex.quote(script["what"]) in line


def test_an_unknown_shell_is_asked_for(world: World, home: Path) -> None:
    world.environ["SHELL"] = "/bin/sh"
    assert world.json("completion", "install")["error"]["code"] == "missing-argument"
    assert list(home.iterdir()) == []
