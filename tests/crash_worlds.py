"""Worlds whose runs die at named points, and whose steps tell a log outside of git that they ran."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from accounts import Recorded
from worlds import World


@dataclass(frozen=True, order=True)
class Moment:
    """A point in one of a job's acts, and on which of its times the process that comes to it dies."""

    act: int
    who: str
    point: str
    number: int

    @property
    def plan(self) -> str:
        """How the processes are told."""
        return f"{self.who} {self.point} {self.number}"

    def __str__(self) -> str:
        return f"{self.act} {self.plan}"


@dataclass
class CrashWorld(World):
    """A world whose runs note their points, and whose steps tell a log outside of git that they ran.

    What is not the run's own lies beside the world's folder, so that whatever befalls that, it is known what happened.
    """

    @property
    def whole(self) -> Path:
        """The folder of everything."""
        return self.folder.parent

    @property
    def log(self) -> Path:
        """Where the steps say that they ran."""
        return self.whole / "log"

    @property
    def ill(self) -> Path:
        """As long as this exists, items that can fail do."""
        return self.whole / "ill"

    @property
    def points(self) -> Path:
        """Where the points are noted, and the plan stands."""
        return self.whole / "points"

    def attempt(self, *words: str, dying: Moment | None = None) -> "subprocess.CompletedProcess[str]":
        """Run the command line to its end, with a plan for one of its processes."""
        self.intend(dying)
        return self.prodigy(*words)

    def intend(self, dying: Moment | None) -> None:
        """Make a plan for one of the processes that start next, or none."""
        self.points.mkdir(exist_ok=True)
        (self.points / "plan").unlink(missing_ok=True)
        if dying is not None:
            (self.points / "plan").write_text(dying.plan)

    def died(self, dying: Moment | None) -> bool:
        """Whether somebody has, as the plan was."""
        return dying is not None and not (self.points / "plan").exists()

    def passed(self) -> list[tuple[str, str, str]]:
        """Every point that was passed since this was asked last: pid, who, point."""
        lines = (self.points / "passed").read_text().splitlines()
        (self.points / "passed").unlink()
        return [(pid, who, point) for pid, who, point in map(str.split, lines)]

    def said(self) -> Counter[str]:
        """What the steps told the log."""
        return Counter(self.log.read_text().split()) if self.log.exists() else Counter()

    def recorded(self) -> Iterator[tuple[int, Recorded]]:
        """The numbers and events of all journals, as they are on disk."""
        for path in sorted(self.home.glob("events/*/*/events-*.jsonl")):
            for line in path.read_bytes().split(b"\n")[:-1]:
                record = json.loads(line)
                yield record["seq"], record["event"]

    def unsound(self) -> str:
        """What git finds wrong in the repository; objects and refs without content, if it finds nothing.

        What a killed git was writing lies beside the objects under a name of its own, until git collects garbage.
        """
        command = ["git", "fsck", "--strict", "--no-dangling", "--no-progress"]
        done = subprocess.run(
            command, cwd=self.repository, env=self.environ, capture_output=True, text=True, check=False
        )
        parts = (self.repository / ".git" / part for part in ("objects", "refs"))
        files = (path for part in parts for path in part.rglob("*"))
        kept = (path for path in files if path.is_file() and not path.name.startswith("tmp_obj_"))
        hollow = [str(path) for path in kept if not path.stat().st_size]
        return done.stderr if done.returncode else "\n".join(hollow)

    def queue(self) -> dict[str, int]:
        """The items of the dead letter queue, as its files tell them, and how often each failed."""
        letters = (json.loads(path.read_bytes()) for path in self.home.glob("dlq/*/*/items/*.json"))
        return {letter["item_id"]: letter["failure_count"] for letter in letters}
