"""One run, as the person at the terminal meets it: watched while it lives, asked about its merge, told how it ended."""

from functools import partial
from typing import Literal

import msgspec
import trio

from prodigy.actors import launch
from prodigy.actors.finish import Answer
from prodigy.actors.preparing import Prepared
from prodigy.actors.recorder import Stamp
from prodigy.actors.tree import Opening, Surroundings, Tree
from prodigy.cli.claude_follower import ClaudeFollower
from prodigy.cli.invocation import CONSOLE, Invocation, is_true
from prodigy.cli.lines.line import Style
from prodigy.cli.options import ProgressChoice
from prodigy.cli.printer import Form, Level, Part
from prodigy.cli.result import output_lines, result_lines, run_error
from prodigy.cli.tuned import tuning
from prodigy.cli.under_way import UnderWay
from prodigy.cli.watch import Watcher, mode_of
from prodigy.errors import ProdigyError
from prodigy.events import ClaudeMeter, ClaudeUse
from prodigy.job.plan import RunPlan
from prodigy.job.report import SAMPLES, report
from prodigy.job.state import JobState, RetryState
from prodigy.paths import Layout
from prodigy.steps.backends import opened
from prodigy.steps.masking import Masker
from prodigy.steps.redaction import without_secrets
from prodigy.store.locks import SharedLock
from prodigy.store.lookup import Lookup
from prodigy.store.projections import Projections
from prodigy.store.snapshots import Folded
from prodigy.workflow.model import Budget

_PAUSE = 1.0
"""Seconds between two looks whether the file of the session is behind."""


Shown = Literal["result", "output"]
"""What stdout carries for people: how the run ended, or what its only step printed."""


class Session:
    """Conducts a run whose lock this process holds.

    Args:
        invocation: who asks.
        merge: the answer to the question of the final merge, if it was given ahead.
        strict: whether items in the dead letter queue make the exit code 1.
        retrying: whether it is about items of the queue, which are then what the exit code is about.
        shown: which part of the run stdout is for.
    """

    def __init__(
        self,
        invocation: Invocation,
        merge: Answer | None,
        *,
        strict: bool,
        retrying: bool = False,
        shown: Shown = "result",
    ) -> None:
        self._printer = invocation.printer
        self._progress = _progress(invocation)
        self._workers = invocation.configuration.given("workers.count")
        self._tuning = tuning(invocation.configuration)
        self._tells_claude = bool(is_true(invocation.around.environ, CONSOLE))
        self._around = invocation.around
        self._merge = merge
        self._strict = strict
        self._retrying = retrying
        self._shown = shown
        self._printer.outlive_reader()

    async def live(
        self,
        plan: RunPlan,
        layout: Layout,
        ground: launch.Ground,
        prepared: Prepared,
        opening: Opening | None = None,
        journal: Folded | None = None,
        budget: Budget | None = None,
    ) -> Tree:
        """Run to the end, or to a signal; what is recorded of it is then in the tree's ledger.

        ``opening``, ``journal`` and ``budget`` as the tree takes them.
        """
        self._histories = Lookup(layout.journal(plan.job_id)).history
        self._watcher = self._make_watcher(plan, layout, prepared)
        projections = Projections(layout, self._around.now)
        share = SharedLock(layout.workers_lock(plan.job_id))
        try:
            around = await self._surroundings(plan, layout, ground, prepared, projections, share.descriptor)
            tree = Tree(plan, around, opening=opening, journal=journal, budget=budget)
            self._signal = await tree.live(partial(self._beside, tree, projections))
            projections.catch_up(tree.ledger.state)
        finally:
            share.close()
        return tree

    async def _surroundings(
        self,
        plan: RunPlan,
        layout: Layout,
        ground: launch.Ground,
        prepared: Prepared,
        projections: Projections,
        share: int,
    ) -> Surroundings:
        forge = await launch.forge_for(plan, ground, layout)
        return Surroundings(
            layout=layout,
            forge=forge,
            environment=await launch.child_environment(plan, layout, ground, forge, prepared),
            prepared=prepared,
            metadata=launch.this_process(plan.session_id),
            stamp=Stamp(self._around.now, launch.random_uuid),
            workers=self._workers or launch.worker_count(),
            tuning=self._tuning,
            ask_merge=self._ask_merge,
            observers=(projections.heard, self._watcher.heard),
            hold=(share,),
            checkout=ground.main_checkout,
        )

    async def _beside(self, tree: Tree, projections: Projections) -> None:
        """Show the run, and let its file follow it in silence too, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watcher.show, lambda: tree.ledger.state)
            while True:
                await trio.sleep(_PAUSE)
                projections.catch_up(tree.ledger.state)

    def _make_watcher(self, plan: RunPlan, layout: Layout, prepared: Prepared) -> Watcher:
        brief = self._printer.level < Level.VERBOSE
        style = Style(
            marks=self._printer.talk_marks,
            home=self._around.environ.get("HOME"),
            steps=plan.step_counts(),
            failures=plan.failures_told(),
            samples=SAMPLES if brief else None,
            width=self._printer.talk_width if brief else None,
            histories=self._histories,
            zone=self._printer.zone,
        )
        mode = mode_of(self._progress, self._printer)
        environ = {**self._around.environ, **prepared.claude.values}

        def spent(use: ClaudeUse, before: ClaudeMeter | None) -> ClaudeUse:
            return opened(plan.backend).spent(environ, use, before)

        follower = self._make_follower(plan, layout, prepared)
        return Watcher(self._printer, mode, style, self._around.now, follower, UnderWay(spent))

    def _make_follower(self, plan: RunPlan, layout: Layout, prepared: Prepared) -> ClaudeFollower | None:
        """Tells what Claude does: where everything is told, and where the environment asks for it at any level."""
        environ = self._around.environ
        if not self._tells_claude and self._printer.level < Level.VERBOSE:
            return None
        level = min(self._printer.level, Level.VERBOSE)
        say = partial(self._talk, level)
        find = partial(opened(plan.backend).session_file, {**environ, **prepared.claude.values})
        home = environ.get("HOME")
        return ClaudeFollower(layout, plan.job_id, find, home, self._printer.talk_marks, say)

    def _talk(self, level: Level, parts: tuple[Part, ...]) -> None:
        self._printer.talk(*parts, at=level)

    async def _ask_merge(self, session: str, branch: str) -> Answer:
        if self._merge is not None:
            return self._merge
        return await self._watcher.ask(f"Merge {session} to {branch}?", self._around.stdin)

    def ended(self, tree: Tree, repo: str, masker: Masker) -> int:
        """Say how it ended: exactly one document for scripts, a block and at most one error for people.

        Returns:
            The exit code.
        """
        state, now = tree.ledger.state, self._around.now()
        error = tree.ledger.problem or run_error(state, self._printer.zone)
        if error is not None:
            error = without_secrets(error, masker)
        code = 128 + self._signal if self._signal is not None else self._verdict(state, error)
        if self._printer.form is not Form.TEXT:  # it tells of every item, and people are not shown it
            document = msgspec.structs.replace(report(state, repo, now, self._histories), exit_code=code)
            self._printer.document(document)
            self._printer.record(document)
        if self._shown == "output":
            for text in output_lines(state):
                self._printer.line(text)
        for line in result_lines(state, repo, now):
            self._say(*line)
        if error is not None and self._signal is None and self._printer.form is Form.TEXT:
            self._printer.error(error)
        return code

    def _say(self, *line: Part) -> None:
        """A line of the result, which is talk where stdout is for something else."""
        if self._shown == "result":
            self._printer.line(*line)
        else:
            self._printer.talk(*line)

    def _verdict(self, state: JobState, error: ProdigyError | None) -> int:
        if error is not None:
            return error.exit_code
        if self._retrying and state.retry is not None:
            return _retry_verdict(state, state.retry, strict=self._strict)
        return 1 if self._strict and state.dead_letters else 0


def _progress(invocation: Invocation) -> ProgressChoice:
    """How the run shows where it stands: as the command line says, else as configured."""
    chosen = invocation.options.progress
    configured: ProgressChoice = invocation.configuration.get("ui.progress")
    return configured if chosen == "auto" else chosen


def _retry_verdict(state: JobState, retry: RetryState, *, strict: bool) -> int:
    """1 if the retry gave up or every item failed again, or any did and somebody is strict."""
    again = retry.ended is not None and retry.ended.failed > 0
    return 1 if retry.fruitless or state.halted is not None or (strict and again) else 0
