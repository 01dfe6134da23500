"""A run that begins: planned, locked, kept on disk, conducted, and told how it ended."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from prodigy.actors import launch
from prodigy.actors.environment import require_shallow
from prodigy.actors.finish import Answer
from prodigy.actors.preparing import Prepared
from prodigy.cli.arguments import Arguments
from prodigy.cli.backend import CLAUDE, Chosen, configured_claude
from prodigy.cli.claude_commands import lacking_commands
from prodigy.cli.claude_variables import claude_variables
from prodigy.cli.invocation import Invocation
from prodigy.cli.reading import Reading
from prodigy.cli.session import Session, Shown
from prodigy.job.iterations import wants_argument
from prodigy.job.overrides import Overrides
from prodigy.job.plan import RunPlan, needs_claude, with_flags
from prodigy.paths import Layout
from prodigy.steps.redaction import masked
from prodigy.store.asked import write_asked
from prodigy.store.filesystems import require_local
from prodigy.store.locks import JobLock
from prodigy.store.storage import prepare, show_newest

_OF_CLAUDE: Final = (".claude/", "CLAUDE.md", ".mcp.json")
"""Where a repository says what is for Claude."""
_NAMED: Final = 3
"""So many files a note names."""

_NO_ARGUMENTS = Arguments()
_NO_FLAGS = Overrides()


class Start:
    """A run from its beginning to its end.

    Args:
        invocation: who asks.
        reading: what is to be run.
        merge: the answer to the question of the final merge, if it was given ahead.
        strict: whether items in the dead letter queue make the exit code 1.
        arguments: the values that it is run with.
        flags: what is put over the workflow's own choices.
        agent: what Claude steps run; the Claude CLI unless it is said.
        profile: of the environment.
        shown: which part of the run stdout is for.
        older: dead letters of an older program that are its items; see ``RunPlan.older``.
    """

    def __init__(  # noqa: PLR0913 - all that a user can say of it
        self,
        invocation: Invocation,
        reading: Reading,
        merge: Answer | None,
        *,
        strict: bool = False,
        arguments: Arguments = _NO_ARGUMENTS,
        flags: Overrides = _NO_FLAGS,
        agent: Chosen | None = None,
        profile: str | None = None,
        shown: Shown = "result",
        older: tuple[str, ...] = (),
    ) -> None:
        self._older = older
        self._invocation = invocation
        self._printer = invocation.printer
        self._around = invocation.around
        self._source = reading.source
        self._text = reading.text
        self._arguments = arguments
        self._flags = flags
        self._agent = agent or configured_claude(invocation)
        self._merge = merge
        self._profile = profile
        self._strict = strict
        self._shown = shown

    async def run(self) -> int:
        """Run to the end and return the exit code."""
        now = self._around.now()
        require_shallow(self._around.environ)
        ground = await launch.survey(self._invocation.place, self._invocation.environ)
        await launch.admit(ground, self._source.workflow)
        prepared = await self._prepared(ground)
        require_local(self._invocation.home, self._invocation.environ)
        layout = launch.layout_for(self._invocation.storage, ground, now)
        if layout.local is None and self._invocation.keeps_local:
            self._printer.note(f"the repository has no files of its own: the run is kept in {layout.home}")
        prepare(layout, Path(ground.repository.common_dir))
        argv = prepared.masker.data(self._invocation.argv)
        plan = launch.make_plan(ground, self._source, layout, now, argv)
        plan = await self._arguments.on(plan, ground, self._invocation.environ)
        plan = msgspec.structs.replace(
            plan,
            auto_merge=self._merge == "flag-yes",
            profile=prepared.profile,
            computed=dict(prepared.computed),
            flags=self._flags,
            configured=self._invocation.configuration.recorded,
            older=self._older,
        )
        session = Session(self._invocation, self._merge, strict=self._strict, shown=self._shown)
        with JobLock.acquire(layout.job_lock(plan.job_id), since=now, argv=plan.argv):
            plan = msgspec.structs.replace(plan, backend=self._agent.settled(layout.state(plan.job_id)))
            write_asked(layout, masked(plan, prepared.masker), prepared.masker.raw(self._text), now)
            show_newest(layout, plan.session_id)
            plan = with_flags(plan)
            ground = await launch.looked_at(ground)
            self._announce(plan, layout, ground.left_out)
            tree = await session.live(plan, layout, ground, prepared)
        return session.ended(tree, layout.repo, prepared.masker)

    async def _prepared(self, ground: launch.Ground) -> Prepared:
        """The environment, before anything is made; what is odd about it is said."""
        workflow = self._source.workflow
        prepared = await launch.prepare_environment(
            workflow,
            ground,
            self._invocation.environ,
            self._profile,
            claude=claude_variables(self._invocation, workflow, self._agent.name),
        )
        for warning in prepared.warnings:
            self._printer.note(warning)
        await self._agent.check(workflow, prepared.seen_by_claude)
        return prepared

    def _announce(self, plan: RunPlan, layout: Layout, left_out: Sequence[str]) -> None:
        self._printer.talk(f"session   {plan.session_id}")
        self._printer.talk(f"worktree  {layout.session_worktree(plan.session_id)}")
        self._printer.talk(f"base      {plan.base_commit[:10]}, for {plan.target}")
        if plan.target_fallback:
            self._printer.note(f"{plan.target_fallback}; the work is for `{plan.original_branch}`")
        if left_out:
            count = len(left_out)
            files = "1 uncommitted file is" if count == 1 else f"{count:,} uncommitted files are"
            self._printer.note(f"{files} not part of this run")
        self._note_prompts(plan)
        self._note_hidden(plan, left_out)
        if not plan.arguments and wants_argument(plan.workflow):
            self._printer.note("the workflow uses `$ARG`, and no value is given: `--args VALUE`")

    def _note_prompts(self, plan: RunPlan) -> None:
        """Which commands Claude is told in our words, because the repository has none of that name."""
        if plan.backend.name != CLAUDE:
            return
        lacking = lacking_commands(plan.workflow, Path(plan.repository), self._around.environ)
        for name in lacking:
            self._printer.note(f"the repository has no command `/{name}`; Claude is told Prodigy's own")

    def _note_hidden(self, plan: RunPlan, left_out: Sequence[str]) -> None:
        """What is for Claude, and is not committed as it is; commands for example."""
        hidden = [path for path in left_out if path.startswith(_OF_CLAUDE)]
        if not hidden or plan.workflow.worktree.include or not needs_claude(plan.workflow):
            return
        more = f" and {len(hidden) - _NAMED} more" if len(hidden) > _NAMED else ""
        self._printer.note(
            f"Claude works with what is committed, and {', '.join(hidden[:_NAMED])}{more} differs from that"
        )
