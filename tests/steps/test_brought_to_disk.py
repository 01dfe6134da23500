"""What leaves wrote is on disk before anybody relies on it."""

import pytest
from notebook import Notebook

from prodigy.errors import RunError
from prodigy.events import ClaudeUse, Failure, StepCompleted, StepFailed
from prodigy.steps.durable import Done, Door, Leaf, LeafFailed, Place

PLACE = Place(phase="map", item_id="i", agent_id="agent-0-1")
USE = ClaudeUse(session_id="s", cost_usd=0.25)


class Disk:
    """Notes what was recorded when it was asked, and may refuse."""

    def __init__(self, notebook: Notebook, *, full: bool = False) -> None:
        self._notebook = notebook
        self._full = full
        self.asked: list[list[str]] = []

    async def flush(self) -> None:
        self.asked.append(self._notebook.trace())
        if self._full:
            raise RunError("not-writable", "what was written could not be brought to disk: it is full")


async def done(_: int) -> Done:
    return Done(head_after="c1", claude=USE)


async def failed(_: int) -> Done:
    raise LeafFailed(Failure(error_class="command-failed", message="Exited with 3"), claude=USE)


@pytest.mark.parametrize("action", [done, failed])
async def test_before_the_outcome_is_recorded(action) -> None:
    notebook = Notebook()
    disk = Disk(notebook)
    await Door(notebook, PLACE, {}, flush=disk.flush).durable("0", 1, Leaf(kind="shell"), action)
    assert disk.asked == [["+0"]]
    assert len(notebook.trace()) == 2


async def test_not_for_leaves_that_write_nothing_themselves() -> None:
    notebook = Notebook()
    disk = Disk(notebook)
    await Door(notebook, PLACE, {}, flush=disk.flush).durable("0", 1, Leaf(kind="foreach"), done)
    assert disk.asked == []


async def test_what_is_not_on_disk_is_not_done() -> None:
    """What it cost is paid all the same."""
    notebook = Notebook()
    door = Door(notebook, PLACE, {}, flush=Disk(notebook, full=True).flush)
    outcome = await door.durable("0", 1, Leaf(kind="claude"), done)
    assert isinstance(outcome, StepFailed)
    assert (outcome.error.error_class, outcome.claude) == ("worktree-error", USE)
    assert "it is full" in outcome.error.message
    assert notebook.of(StepCompleted) == []


async def test_a_failure_stays_the_failure_that_it_is() -> None:
    notebook = Notebook()
    door = Door(notebook, PLACE, {}, flush=Disk(notebook, full=True).flush)
    outcome = await door.durable("0", 1, Leaf(kind="shell"), failed)
    assert isinstance(outcome, StepFailed)
    assert outcome.error.message == "Exited with 3"
