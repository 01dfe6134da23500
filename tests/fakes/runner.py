"""A small runner of steps for tests of compound actions: real shell commands in a folder, a real door, no git."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import trio
from msgspec import structs
from notebook import Notebook

from prodigy.events import Failure, StepFailed, Stream
from prodigy.steps.claude import claude
from prodigy.steps.claude_cli import ClaudeCli
from prodigy.steps.durable import Done, Door, Leaf, LeafFailed, Place
from prodigy.steps.foreach import foreach
from prodigy.steps.goal_seek import goal_seek
from prodigy.steps.nested import unfilled
from prodigy.steps.patience import Listener, Patience
from prodigy.steps.protocol import Outcome
from prodigy.steps.runner import Ended, Program, StepFailure
from prodigy.steps.streams import Sink
from prodigy.steps.subworkflow import workflow
from prodigy.steps.validation import validate
from prodigy.steps.write_file import write_file
from prodigy.workflow.deferred import settled
from prodigy.workflow.model import (
    Check,
    Claude,
    Environment,
    Foreach,
    GoalSeek,
    Shell,
    Step,
    SubWorkflow,
    Text,
    WriteFile,
)
from prodigy.workflow.scope import UNDEFINED, ComputedKind, resolve, resolve_item
from prodigy.workflow.scope import Path as Reference
from prodigy.workflow.shell_quote import render_shell
from prodigy.workflow.template import render_text
from prodigy.workflow.values import TemplateError

COMPOUND: dict[type, Callable[..., Any]] = {
    Foreach: foreach,
    GoalSeek: goal_seek,
    Check: validate,
    WriteFile: write_file,
    Claude: claude,
    SubWorkflow: workflow,
}


class Names(dict[str, Any]):
    """A scope that is a dictionary of roots."""

    def lookup(self, path: Reference) -> Any:
        root, *rest = path
        if root not in self:
            return UNDEFINED
        return resolve_item(self[root], rest) if root == "item" else resolve(self[str(root)], rest)

    def knows(self, root: str) -> bool:
        return root in self

    def names(self) -> list[str]:
        return list(self)

    def secret(self, path: Reference) -> str | None:
        return None

    def computed(self, kind: ComputedKind, argument: str) -> Any:
        return UNDEFINED


class FakeRunner:
    """See `prodigy.steps.runner.Runner`. Commits are a file `commits` in the folder, one line each."""

    def __init__(
        self,
        worktree: Path,
        notebook: Notebook | None = None,
        roots: Mapping[str, Any] | None = None,
        recorded: Mapping[str, Outcome] | None = None,
    ) -> None:
        self.folder = worktree
        self.notebook = notebook or Notebook()
        self.door = Door(self.notebook, Place(phase="steps"), recorded or {})
        self.variables = Names(roots or {})
        self.last: Outcome | None = None
        self.commits = True
        self.extra: dict[str, str] = {}
        self.ran: list[tuple[str, bool]] = []
        """Scripts, and whether what they left would have been committed."""

    @property
    def worktree(self) -> str:
        return str(self.folder)

    @property
    def logs(self) -> str:
        return str(self.folder.parent / "logs")

    @property
    def head(self) -> str:
        file = self.folder / "commits"
        return str(len(file.read_text().splitlines())) if file.exists() else "0"

    async def changed_since(self, head: str) -> bool:
        return self.head != head

    def inside(
        self,
        roots: Mapping[str, Any],
        *,
        commits: bool = True,
        environment: Mapping[str, str] | None = None,
        layer: Environment | None = None,
        isolated: bool = False,
    ) -> "FakeRunner":
        inner = FakeRunner(self.folder, self.notebook)
        inner.door, inner.ran = self.door, self.ran
        inner.variables = Names(roots) if isolated else Names({**self.variables, **roots})
        inner.commits = self.commits and commits
        declared = {} if layer is None else {it.name: it.values[""].text for it in layer.variables}
        inner.extra = {**self.extra, **declared, **(environment or {})}
        return inner

    def text(self, text: Text | str) -> str:
        try:
            return render_text(text if isinstance(text, str) else text.source, self.variables)
        except TemplateError as error:
            raise unfilled(error) from None

    def environment(self, step: Step) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder.parent), **self.extra}

    async def run(self, steps: tuple[Step, ...], prefix: str) -> None:
        for number, step in enumerate(steps, 1):
            await self.step(step, f"{prefix}{number}")

    async def step(self, step: Step, path: str) -> Outcome:
        step = settled(step, self.variables)
        outcome = await self.door.durable(path, 1, Leaf(kind=step.kind), partial(self._act, step, path))
        self.last = outcome
        if step.id is not None:
            self.variables[step.id] = {
                "output": outcome.stdout.tail.rstrip("\n"),
                "value": outcome.value,
            }
        for capture in step.captures:
            self.variables[capture.name] = outcome.stdout.tail.rstrip("\n")
        if isinstance(outcome, StepFailed):
            raise StepFailure(structs.replace(outcome.error, step=path))
        return outcome

    async def _act(self, step: Step, path: str, intent: int) -> Done:
        if not isinstance(step.action, Shell):
            more = (ClaudeCli(),) if isinstance(step.action, Claude) else ()
            done: Done = await COMPOUND[type(step.action)](self, step, step.action, path, 1, *more)
            return done
        try:
            script = render_shell(step.action.script, self.variables)
        except TemplateError as error:
            raise unfilled(error) from None
        return await self._shell(script, self.environment(step))

    async def script(self, script: str, *, path: str, timeout: float | None = None) -> Done:
        async def action(_intent: int) -> Done:
            return await self._shell(script, self.environment(Step(action=Shell(""))))

        outcome = await self.door.durable(path, 1, Leaf(kind="shell"), action)
        if isinstance(outcome, StepFailed):
            raise LeafFailed(outcome.error, stdout=outcome.stdout)
        return Done(stdout=outcome.stdout)

    async def _shell(self, script: str, environment: dict[str, str]) -> Done:
        self.ran.append((script.splitlines()[-1] if script else "", self.commits))
        ended = await self._process(("sh", "-c", script), environment, b"")
        if ended.failure is not None:
            raise LeafFailed(ended.failure, stdout=ended.stdout, stderr=ended.stderr)
        return Done(stdout=ended.stdout, stderr=ended.stderr)

    async def launch(
        self, program: Program, step: Step, *, path: str, try_: int, listen: Listener | None = None
    ) -> Ended:
        return await self._process(program.argv, dict(program.env), program.stdin, listen, step.timeout)

    async def _process(
        self,
        argv: tuple[str, ...],
        environment: dict[str, str],
        stdin: bytes,
        listen: Listener | None = None,
        timeout: Any = None,
    ) -> Ended:
        failure: Failure | None = None
        patience = Patience(timeout, listen)
        process = await trio.lowlevel.open_process(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder,
            env=environment, start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        out, err = bytearray(), bytearray()
        try:
            with patience.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_feed, process.stdin, stdin)
                    nursery.start_soon(_read, process.stdout, out, patience.heard)
                    nursery.start_soon(_read, process.stderr, err, None)
                    await process.wait()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                with trio.CancelScope(shield=True):
                    await process.wait()
        code = process.returncode
        if patience.timed_out:
            failure = Failure(error_class="timeout", message=f"Timed out after {timeout:g} s")
        elif code and not patience.satisfied:
            exit_code, killed = (code, None) if code > 0 else (None, -code)
            failure = Failure(
                error_class="command-failed",
                message=f"Exited with {code}",
                exit_code=exit_code,
                signal=killed,
            )
        return Ended(
            failure=failure,
            exit_code=code,
            stdout=Stream(size=len(out), tail=out.decode(), log="out.log"),
            stderr=Stream(size=len(err), tail=err.decode(), log="err.log"),
        )


async def _feed(stream: Any, data: bytes) -> None:
    async with stream:
        try:
            await stream.send_all(data)
        except trio.BrokenResourceError:
            return


async def _read(stream: Any, into: bytearray, heard: Sink | None) -> None:
    async with stream:
        async for chunk in stream:
            into.extend(chunk)
            if heard is not None:
                heard(bytes(chunk))
