"""Runs in this process: the real tree, real workers, real git; only faults are put in."""

import os
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec import structs

from prodigy.actors import launch
from prodigy.actors.finish import Answer
from prodigy.actors.recorder import Stamp
from prodigy.actors.tree import Surroundings, Tree
from prodigy.actors.tuning import NO_TUNING, Tuning
from prodigy.events import AnyEvent, Record
from prodigy.job.state import JobState
from prodigy.paths import Layout, Storage
from prodigy.workflow.load import load_workflow


@dataclass
class Stage:
    """A repository and a home; `run` runs a workflow to its end."""

    folder: Path
    environ: dict[str, str]
    happened: list[AnyEvent] = field(default_factory=list)
    layout: Layout | None = None

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=self.folder / "project",
            env=self.environ,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def hear(self, _: JobState, record: Record) -> None:
        self.happened.append(record.event)

    def kinds(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.happened if isinstance(event, kind)]

    async def tree(self, flow: str, asked: Mapping[str, Any] | None = None, **changes: Any) -> Tree:
        """A tree for a workflow; `asked` are fields of its plan, `changes` of its surroundings."""
        ground = await launch.survey(self.folder / "project", self.environ)
        now = datetime.now(UTC)
        layout = self.layout = launch.layout_for(Storage(self.folder / "home"), ground, now)
        workflow = load_workflow(flow.encode(), "flow.yml").workflow
        plan = launch.make_plan(ground, launch.Source(workflow, "flow.yml", "0" * 64), layout, now, ())
        plan = structs.replace(plan, **(asked or {}))
        forge = await launch.forge_for(plan, ground, layout)
        prepared = await launch.prepare_environment(workflow, ground, self.environ)

        async def yes(_session: str, _branch: str) -> Answer:
            return "flag-yes"

        options: dict[str, Any] = {
            "layout": layout,
            "forge": forge,
            "environment": await launch.child_environment(plan, layout, ground, forge, prepared),
            "prepared": prepared,
            "metadata": launch.this_process(plan.session_id),
            "stamp": Stamp(lambda: datetime.now(UTC), launch.random_uuid),
            "workers": 1,
            "ask_merge": yes,
            "observers": (self.hear,),
        }
        return Tree(plan, Surroundings(**(options | changes)))

    async def run(
        self,
        flow: str,
        beside: Callable[[], Awaitable[None]] = trio.sleep_forever,
        tuning: Tuning = NO_TUNING,
        **asked: Any,
    ) -> Tree:
        tree = await self.tree(flow, asked, tuning=tuning)
        await tree.live(beside)
        return tree


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "user"), "GIT_CONFIG_NOSYSTEM": "1"}
    made = Stage(tmp_path, environ)
    (tmp_path / "user").mkdir()
    (tmp_path / "project").mkdir()
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@localhost")
    (tmp_path / "project" / "README.md").write_text("# Project\n")
    made.git("add", "--all")
    made.git("commit", "--quiet", "-m", "first")
    return made
