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
