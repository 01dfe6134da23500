"""Whether there is a Claude that works is found before anything is started."""

import os
from pathlib import Path

import pytest
from fakes.messages_api import MessagesApi
from worlds import World

FLOW = '[{"shell": "true", "on_failure": {"claude": "repair it"}}]'


def test_a_claude_that_works(world: World, api: MessagesApi) -> None:
    assert world.prodigy("run", world.workflow(FLOW), "--no-merge").returncode == 0
    assert api.ledger == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_root_without_a_sandbox(world: World, api: MessagesApi) -> None:
    """The CLI would refuse each launch; a mode that asks for permissions is another matter."""
    del world.environ["IS_SANDBOX"]
    done = world.prodigy("run", world.workflow(FLOW), "--no-merge")
    assert done.returncode == 2
    assert "error: claude-not-usable" in done.stderr
    assert "IS_SANDBOX=1" in done.stderr
    assert not list(world.home.glob("events/*/*"))
    careful = FLOW.replace('"repair it"', '"repair it", "permission_mode": "dontAsk"')
    assert world.prodigy("run", world.workflow(careful), "--no-merge").returncode == 0


def test_a_stub(world: World, tmp_path: Path) -> None:
    stub = tmp_path / "bin/claude"
    stub.parent.mkdir()
    stub.write_text("#!/bin/sh\necho 'native binary not installed' >&2\nexit 1\n")
    stub.chmod(0o755)
    world.environ["PATH"] = f"{stub.parent}:{world.environ['PATH']}"
    done = world.prodigy("run", world.workflow(FLOW), "--no-merge")
    assert done.returncode == 2
    assert "`claude --version` exits with 1: native binary not installed" in done.stderr
