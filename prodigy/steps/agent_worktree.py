"""What is true of an agent's worktree, as git tells it or as it has just been written."""

from msgspec import structs

from prodigy.events import Failure
from prodigy.git import changes
from prodigy.git.changes import Changes, Standing
from prodigy.git.cli import Git
from prodigy.git.commit_text import LooseCommits
from prodigy.git.evidence import (
    Commit,
    CommitRefused,
    CommitWish,
    History,
    Snapshot,
    auto_commit,
    files_changed,
    head,
    history,
    single,
    snapshot,
)
from prodigy.git.index_file import Layouts
from prodigy.git.traces import Residue, Traces, Tracker
from prodigy.steps.commands import SlotCommands
from prodigy.steps.durable import LeafFailed
from prodigy.steps.hidden import Hidden
from prodigy.steps.output import short_tail
from prodigy.steps.protocol import AgentTask

_OF_CONFIGURATION = frozenset({"HOME", "XDG_CONFIG_HOME"})
"""Variables by which git finds a user's own configuration, beside its own."""


class AgentWorktree:
    """What is true of the agent's worktree, told by git or by what git has just written; asked once.

    Args:
        git: at the top of the worktree.
        hidden: secrets that must not be told.
        made: commits that steps have made.
        task: says what is known of it.
        layouts: of the commits that worktrees began with.
        commands: those that run in it.
    """

    def __init__(
        self,
        git: Git,
        hidden: Hidden,
        made: LooseCommits,
        task: AgentTask,
        layouts: Layouts,
        commands: SlotCommands,
    ) -> None:
        self._git = git
        self._hidden = hidden
        self._made = made
        self._commands = commands
        self._configures_git = any(
            name in _OF_CONFIGURATION or name.startswith("GIT_") for name in task.declared
        )
        self._trees = {} if task.base_tree is None else {task.base_commit: task.base_tree}
        self._histories: dict[tuple[str, str], History] = {}
        self._files: dict[tuple[str, str], tuple[str, ...]] = {}
        self._tracker: Tracker | None = None
        self._seen: tuple[int, Traces] | None = None
        if task.basis is not None:
            self._tracker = Tracker(git, task.basis, layouts, self._tree)

    @property
    def residue(self) -> Residue | None:
        """What is not as it was at the beginning; ``None`` if anything happened since that was looked at."""
        if self._seen is None or self._seen[0] != self._commands.at_rest:
            return None
        return self._seen[1].residue

    async def snapshot(self) -> Snapshot:
        """HEAD and what is uncommitted."""
        self._seen = None
        before = self._commands.at_rest
        traces = None if self._tracker is None or before is None else await self._tracker.look()
        if traces is None:
            return await snapshot(self._git)
        assert before is not None, "it was at rest"
        self._seen = before, traces
        return traces.snapshot

    def _tell_committed(self, wish: CommitWish) -> None:
        """What was seen counts only as far as committing it runs nothing."""
        if self._seen is not None:
            at, traces = self._seen
            residue = structs.replace(traces.residue, committed=True)
            known = not (wish.sign or self._configures_git)
            self._seen = (at, structs.replace(traces, residue=residue)) if known else None

    def _tree(self, commit: str) -> str | None:
        if commit not in self._trees and (made := self._made.find(commit)) is not None:
            self._trees[commit] = made.tree
        return self._trees.get(commit)

    async def history(self, base: str, head: str) -> History:
        """The commits that lie between."""
        key = base, head
        if key not in self._histories:
            self._histories[key] = self._single(base, head) or await self._between(base, head)
        return self._histories[key]

    def _single(self, base: str, head: str) -> History | None:
        """One commit right on top of another, as most steps leave it."""
        made = self._made.find(head)
        if made is None or made.parents != (base,):
            return None
        self._trees[head] = made.tree
        return History((Commit(head, made.subject),), descends=True)

    async def _between(self, base: str, head: str) -> History:
        one = await single(self._git, base, head)
        if one is None:
            return await history(self._git, base, head)
        found, self._files[base, head] = one
        return found

    async def files(self, base: str, head: str) -> tuple[str, ...]:
        """Paths that differ between two commits."""
        key = base, head
        if key not in self._files:
            self._files[key] = tuple(await files_changed(self._git, base, head))
        return self._files[key]

    async def differ(self, base: str, head: str) -> bool:
        """Whether two commits differ in any file."""
        await self.history(base, head)
        trees = self._trees.get(base), self._trees.get(head)
        return bool(await self.files(base, head)) if None in trees else trees[0] != trees[1]

    async def changes(self, base: str, head: str | None) -> Changes:
        """What became of which files between two commits, or up to now."""
        return await changes.changes(self._git, base, head)

    async def standing(self) -> Standing:
        """Branch, commit, staged and untracked files."""
        return await changes.standing(self._git)

    async def messages(self, base: str, head: str) -> tuple[str, ...]:
        """Whole messages of the commits between."""
        return await changes.messages(self._git, base, head)

    async def commit_all(self, message: str, wish: CommitWish) -> str:
        """Commit what is uncommitted; the new HEAD."""
        self._tell_committed(wish)
        try:
            sha = await auto_commit(self._git, self._hidden.masker.text(message), {}, wish)
        except CommitRefused as refused:
            failure = Failure(
                error_class="commit-failed",
                message=f"git refused the commit: {refused.message}",
                stderr_tail=short_tail(refused.stderr),
            )
            raise LeafFailed(failure) from None
        return sha if sha is not None else await head(self._git)
