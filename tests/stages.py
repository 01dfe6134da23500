"""A stage for step lists without processes and without git: scripts act on a worktree in memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio
from notebook import Notebook

from prodigy.events import (
    Failure,
    Stream,
)
from prodigy.git.changes import Changes, Standing
from prodigy.git.evidence import Commit, CommitWish, History, Snapshot
from prodigy.steps.claude_cli import ClaudeCli
from prodigy.steps.commands import LeafPlace, Order, Ran
from prodigy.steps.durable import Door, LeafFailed, Place, Texts
from prodigy.steps.interpreter import Interpreter
from prodigy.steps.protocol import Outcome
from prodigy.steps.stage import Stage
from prodigy.steps.variables import Variables
from prodigy.workflow.model import Shell, Step, Until

PLACE = Place(phase="map", item_id="i", agent_id="agent-0-1")


@dataclass
class Tree:
    """A worktree that scripts act on, by the first word of their last line.

    `check` fails with 7 until `fix`, `fail` fails always, `flaky N` succeeds at its N-th run, `exit N` ends with N,
    `write NAME` leaves a file, `commit` and `empty-commit` a commit, `say TEXT` prints it, `warn TEXT` prints it to
    stderr, `env NAME` prints a variable, `sleep N` takes its time; everything else prints itself.
    """

    folder: Path = Path("/nowhere")
    head: str = "c0"
    fixed: bool = False
    dirty: tuple[str, ...] = ()
    ran: list[str] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    left: dict[str, bytes] = field(default_factory=dict)
    detached: list[Order] = field(default_factory=list)
    committed: list[tuple[str, CommitWish]] = field(default_factory=list)
    refuses: bool = False
    asked: list[str] = field(default_factory=list)
    play: Callable[[str, Order], str | None] | None = None
    """Asked first: what a script prints, or `None` for the rules above."""

    # -- commands --------------------------------------------------------------------------------------------------
    async def run(self, order: Order, leaf: LeafPlace) -> Ran:  # noqa: C901, PLR0912 - one case a verb
        script = order.argv[-1]
        self.ran.append(script)
        self.orders.append(order)
        verb, _, rest = self._line(script).partition(" ")
        stdout, stderr, code = f"{script}\n", "", 0
        played = self.play(self._line(script), order) if self.play is not None else None
        match verb:
            case _ if played is not None:
                stdout = played
            case "check" if not self.fixed:
                stdout, stderr, code = "out\n", "err\n", 7
            case "fail":
                stdout, stderr, code = "", rest, 1
            case "flaky":
                tries = sum(self._line(known) == f"flaky {rest}" for known in self.ran)
                code = 0 if tries >= int(rest) else 1
            case "exit":
                code = int(rest)
            case "fix":
                self.fixed = True
            case "write":
                self.dirty = (*self.dirty, rest or "file")
                if rest and self.folder.is_dir():
                    (self.folder / rest).write_text(rest)
            case "commit" | "empty-commit":
                self.head += "+" if verb == "commit" else "="
            case "say":
                stdout = rest.replace("'", "") + "\n"
            case "warn":
                stdout, stderr = "", rest + "\n"
            case "env":
                stdout = order.env.get(rest, "") + "\n"
            case "sleep":
                await trio.sleep(float(rest))
        if order.listen is not None:
            order.listen(stdout.encode())
        failure = None
        if code:
            message = f"Exited with {code}"
            failure = Failure(
                error_class="command-failed",
                message=message,
                exit_code=code,
                stdout_tail=stdout,
                stderr_tail=stderr,
            )
        kept = Texts(stdout=stdout, stderr=stderr, both=stdout + stderr) if order.keep else None
        out, err = Stream(size=len(stdout), tail=stdout), Stream(size=len(stderr), tail=stderr)
        return Ran(failure=failure, exit_code=code, stdout=out, stderr=err, texts=kept)

    @staticmethod
    def _line(script: str) -> str:
        """The last line, with the values of our private variables in place."""
        *assigned, last = script.splitlines() or [""]
        for line in assigned:
            name, _, value = line.partition("=")
            last = last.replace(f'"${{{name}}}"', value).replace(f"${{{name}}}", value.strip("'"))
        return last

    async def detach(self, order: Order, leaf: LeafPlace, until: Until) -> None:
        self.detached.append(order)

    def leave(self, leaf: LeafPlace, suffix: str, content: bytes) -> str:
        name = f"/logs/{leaf.path}{suffix}"
        self.left[name] = content
        return name

    # -- git ---------------------------------------------------------------------------------------------------------
    async def snapshot(self) -> Snapshot:
        return Snapshot(head=self.head, branch=None, dirty=self.dirty)

    async def history(self, base: str, head: str) -> History:
        return History((Commit(sha=head, subject="s"),) if head != base else (), descends=True)

    async def files(self, base: str, head: str) -> tuple[str, ...]:
        return () if head.endswith("=") or head == base else ("file",)

    async def differ(self, base: str, head: str) -> bool:
        return bool(await self.files(base, head))

    async def changes(self, base: str, head: str | None) -> Changes:
        self.asked.append(f"changes {base}..{head or ''}")
        moved = head != base if head is not None else self.head != base
        added = (("made",) if moved else ()) + (() if head is not None else self.dirty)
        return Changes(added=added, insertions=len(added))

    async def standing(self) -> Standing:
        self.asked.append("standing")
        return Standing(branch="b", commit=self.head, short_commit=self.head[:2], untracked=self.dirty)

    async def messages(self, base: str, head: str) -> tuple[str, ...]:
        return ("their own",)

    async def commit_all(self, message: str, wish: CommitWish) -> str:
        if self.refuses:
            raise LeafFailed(Failure(error_class="commit-failed", message="the hook says no"))
        self.committed.append((message, wish))
        if self.dirty or wish.onto is not None:
            self.head += "*"
        self.dirty = ()
        return self.head


class Words:
    """An author of few words."""

    def message(self, step: Step, command: str) -> str:
        return f"did {step.label}\n"


@dataclass
class FakeOracle:
    """Counts its uuids; its clock stands still."""

    uuids: int = 0

    def now(self) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def uuid(self) -> str:
        self.uuids += 1
        return f"uuid-{self.uuids}"


def shell(script: str, **options: object) -> Step:
    return Step(action=Shell(script), **options)  # type: ignore[arg-type]  # options by name, checked by the struct


def staged(
    notebook: Notebook, tree: Tree, recorded: Mapping[str, Outcome] | None = None, **options: Any
) -> Stage:
    """The ports of one agent, all of them in memory."""
    ports = {
        "door": Door(notebook, PLACE, recorded or {}),
        "author": Words(),
        "oracle": FakeOracle(),
        "backend": ClaudeCli,
    }
    places = {"folder": str(tree.folder), "logs": "/logs", "head": tree.head, "base": "c0"}
    return Stage(**{**ports, "commands": tree, "worktree": tree, **places, **options})


def interpreter(
    notebook: Notebook,
    tree: Tree,
    recorded: Mapping[str, Outcome] | None = None,
    roots: Mapping[str, Any] | None = None,
    **options: Any,
) -> Interpreter:
    """An interpreter over them, for an item with the path `a b`."""
    variables = Variables({"item": {"path": "a b"}, **(roots or {})}, environment={"HOME": "/h", "OLD": "1"})
    return Interpreter(staged(notebook, tree, recorded, **options), variables)


async def run(
    *steps: Step,
    tree: Tree | None = None,
    notebook: Notebook | None = None,
    roots: Mapping[str, Any] | None = None,
    **options: Any,
) -> tuple[Notebook, Tree]:
    notebook, tree = notebook or Notebook(), tree or Tree()
    await interpreter(notebook, tree, None, roots, **options).run(steps)
    return notebook, tree
