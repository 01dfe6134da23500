"""``prodigy run``: read, check, plan, run, ask about the merge, say how it ended."""

import hashlib
from contextlib import ExitStack
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import msgspec
import trio
from cyclopts import App, Parameter

from prodigy.actors import launch
from prodigy.actors.recorder import Stamp
from prodigy.actors.run import Answer
from prodigy.actors.tree import Surroundings, Tree
from prodigy.cli.app import STDIN
from prodigy.cli.dry_run import Forecast, forecast, forecast_lines
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.lines import Style
from prodigy.cli.printer import Form, Level, Printer
from prodigy.cli.result import result_lines, run_error
from prodigy.cli.watch import Watcher, mode_of
from prodigy.errors import ProdigyError, UsageError
from prodigy.job.plan import RunPlan, with_limits
from prodigy.job.report import report
from prodigy.job.state import JobState
from prodigy.paths import Layout
from prodigy.store.locks import JobLock, SharedLock
from prodigy.store.projections import Projections, write_workflow
from prodigy.workflow.load import Loaded, load_workflow
from prodigy.workflow.problems import WorkflowInvalid, render

app = App(
    name="run",
    help_epilogue="""Examples:
  prodigy run workflow.yml                   run it, then ask whether to merge
  prodigy run workflow.yml -y                merge without asking
  prodigy run workflow.yml --dry-run         show what would happen
  prodigy run workflow.yml --max-items 3     try it on three items
  prodigy run workflow.yml --no-merge --json > report.json""",
)

Positive = Annotated[int, Parameter(validator=lambda _type, value: _at_least_one(value))]


def _at_least_one(value: int) -> None:
    if value is not None and value < 1:
        raise ValueError("must be at least 1")


@app.default
def run(
    workflow: str,
    /,
    *,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"))] = False,
    no_merge: bool = False,
    max_parallel: Annotated[Positive | None, Parameter(name=("--max-parallel", "--parallel"))] = None,
    max_items: Positive | None = None,
    strict: bool = False,
    dry_run: bool = False,
    invocation: Given,
) -> int:
    """Run a workflow in a worktree of its own; your checkout stays as it is until you merge.

    Args:
        workflow: A path, a name under workflows/, or - for standard input.
        yes: Merge at the end without asking.
        no_merge: Do not merge and do not ask; the branch stays.
        max_parallel: At most so many agents at a time.
        max_items: Only the first items.
        strict: Exit with 1 if items are left in the dead letter queue.
        dry_run: Show the plan; nothing is started and nothing is written.
        invocation: Who asks.
    """
    if yes and no_merge:
        raise UsageError(
            "conflicting-flags", "`--yes` and `--no-merge` exclude each other", hint="give one of them"
        )
    text, loaded, source = _read(workflow, invocation)
    bounded = with_limits(source.workflow, max_parallel=max_parallel, max_items=max_items)
    source = launch.Source(bounded, source.path, source.sha256)
    for line in render(loaded.problems, text.decode("utf-8-sig")).splitlines():
        invocation.printer.talk(line)
    if dry_run:
        shown = trio.run(_dry_run, source, invocation)
        invocation.printer.document(shown)
        for line in forecast_lines(shown):
            invocation.printer.line(line)
        return 0
    merge: Answer | None = "flag-yes" if yes else "flag-no" if no_merge else None
    return trio.run(_Session(invocation, source, text, merge, strict=strict).run)


# -- the file ------------------------------------------------------------------------------------------------------------
def _read(name: str, invocation: Invocation) -> tuple[bytes, Loaded, launch.Source]:
    if name == STDIN:
        text = Path(STDIN).read_bytes()
        name = path = "<stdin>"
    else:
        file = _find(name, invocation)
        text = file.read_bytes()
        path = str(file)
    try:
        loaded = load_workflow(text, name)
    except WorkflowInvalid as invalid:
        _show(invalid, invocation.printer)
        raise
    return text, loaded, launch.Source(loaded.workflow, path, hashlib.sha256(text).hexdigest())


def _show(invalid: WorkflowInvalid, printer: Printer) -> None:
    """Every problem with its source line; scripts find them in the error's note."""
    if printer.form is not Form.TEXT:
        invalid.note = invalid.report()
        return
    for line in invalid.report().splitlines():
        printer.talk(line, at=Level.QUIET)
    printer.talk(at=Level.QUIET)


def _find(name: str, invocation: Invocation) -> Path:
    """A path relative to the caller's folder, else ``workflows/NAME[.yml]`` of the repository acted on."""
    shelf = invocation.place / "workflows"
    candidates = [
        invocation.around.directory / name,
        shelf / name,
        shelf / f"{name}.yml",
        shelf / f"{name}.yaml",
    ]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise UsageError("workflow-not-found", f"There is no workflow `{name}`", hint=_nearby(name, invocation))


def _nearby(name: str, invocation: Invocation) -> str | None:
    places = (invocation.around.directory, invocation.place / "workflows")
    names = [file.name for place in places if place.is_dir() for file in place.glob("*.y*ml")]
    near = get_close_matches(Path(name).name, names, n=3) or sorted(names)[:3]
    return "did you mean " + " or ".join(f"`{found}`" for found in near) + "?" if near else None


# -- the plan alone --------------------------------------------------------------------------------------------------------
async def _dry_run(source: launch.Source, invocation: Invocation) -> Forecast:
    ground = await launch.survey(invocation.place, invocation.around.environ)
    return await forecast(source, ground)


# -- the run -----------------------------------------------------------------------------------------------------------------
class _Session:
    """One run, as the person at the terminal meets it."""

    def __init__(
        self,
        invocation: Invocation,
        source: launch.Source,
        text: bytes,
        merge: Answer | None,
        *,
        strict: bool,
    ) -> None:
        self._invocation = invocation
        self._printer = invocation.printer
        self._around = invocation.around
        self._source = source
        self._text = text
        self._merge = merge
        self._strict = strict

    async def run(self) -> int:
        """Run to the end and return the exit code."""
        now = self._around.now()
        ground = await launch.survey(self._invocation.place, self._around.environ)
        layout = launch.layout_for(self._invocation.home, ground, now)
        plan = launch.make_plan(ground, self._source, layout, now, self._invocation.argv)
        with ExitStack() as held:
            held.enter_context(JobLock.acquire(layout.job_lock(plan.job_id), since=now, argv=plan.argv))
            write_workflow(layout, plan.job_id, self._text)
            share = SharedLock(layout.workers_lock(plan.job_id))
            held.callback(share.close)
            self._watcher = self._make_watcher(plan)
            self._announce(plan, layout, ground)
            tree = Tree(plan, await self._surroundings(plan, layout, ground, share.descriptor))
            signal = await tree.live(lambda: self._watcher.show(lambda: tree.ledger.state))
        return self._ended(tree, layout.repo, signal)

    async def _surroundings(
        self, plan: RunPlan, layout: Layout, ground: launch.Ground, share: int
    ) -> Surroundings:
        forge = await launch.forge_for(ground)
        projections = Projections(layout, plan, self._around.now)
        return Surroundings(
            layout=layout,
            forge=forge,
            environment=await launch.child_environment(plan, layout, ground, forge, self._around.environ),
            metadata=launch.this_process(plan.session_id),
            stamp=Stamp(self._around.now, launch.random_uuid),
            workers=launch.worker_count(),
            ask_merge=self._ask_merge,
            observers=(projections.heard, self._watcher.heard),
            hold=(share,),
        )

    def _make_watcher(self, plan: RunPlan) -> Watcher:
        self._printer.outlive_reader()
        style = Style(
            marks=self._printer.talk_marks,
            home=self._around.environ.get("HOME"),
            steps={phase: len(plan.step_list(phase).steps) for phase in plan.phases() if phase != "map"},
        )
        mode = mode_of(self._invocation.options.progress, self._printer)
        return Watcher(self._printer, mode, style, self._around.now)

    def _announce(self, plan: RunPlan, layout: Layout, ground: launch.Ground) -> None:
        self._printer.talk(f"session   {plan.session_id}")
        self._printer.talk(f"worktree  {layout.session_worktree(plan.session_id)}")
        self._printer.talk(f"base      {plan.base_commit[:10]}, for {plan.original_branch}")
        if plan.target_fallback:
            self._printer.note(f"{plan.target_fallback}; the work is for `{plan.original_branch}`")
        if ground.uncommitted:
            files = (
                "1 uncommitted file is"
                if ground.uncommitted == 1
                else f"{ground.uncommitted} uncommitted files are"
            )
            self._printer.note(f"{files} not part of this run")

    async def _ask_merge(self, session: str, branch: str) -> Answer:
        if self._merge is not None:
            return self._merge
        return await self._watcher.ask(f"Merge {session} to {branch}?", self._around.stdin)

    def _ended(self, tree: Tree, repo: str, signal: int | None) -> int:
        """Say how it ended: exactly one document for scripts, a block and at most one error for people."""
        state, now = tree.ledger.state, self._around.now()
        error = tree.ledger.problem or run_error(state)
        code = 128 + signal if signal is not None else self._verdict(state, error)
        document = msgspec.structs.replace(report(state, repo, now), exit_code=code)
        self._printer.document(document)
        self._printer.record(document)
        for line in result_lines(state, repo, now):
            self._printer.line(*line)
        if error is not None and signal is None and self._printer.form is Form.TEXT:
            self._printer.error(error)
        return code

    def _verdict(self, state: JobState, error: ProdigyError | None) -> int:
        if error is not None:
            return error.exit_code
        return 1 if self._strict and state.dead_letters else 0
