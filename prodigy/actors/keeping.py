"""Keeping what would otherwise be lost: work goes under a ref, and into the journal, before anything can remove it."""

from collections.abc import Collection, Sequence
from pathlib import Path

from prodigy import ids
from prodigy.actors.recorder import RecorderRef, record
from prodigy.events import WorktreeRescued
from prodigy.git.cli import Git, GitFailed
from prodigy.git.evidence import files_changed, is_ancestor
from prodigy.git.repository import branch_tip, ref_tip
from prodigy.git.rescue import keep_commit, kept_commits, rescue, rescue_strays, unmerged
from prodigy.git.submodules import keep_submodules
from prodigy.ids import JobId

_MOST_FILES = 200
_CLEANED = "cleaned up before it was merged"


class Keeper:
    """Makes rescue refs for one run.

    Args:
        git: in the user's repository.
        job_id: the run, whose name the refs carry.
        recorder: told of each.
    """

    def __init__(self, git: Git, job_id: JobId, recorder: RecorderRef) -> None:
        self._git = git
        self._job_id = job_id
        self._recorder = recorder

    async def attempt(
        self, path: str, item_id: str, agent_id: str, attempt: int, base: str, reason: str
    ) -> str | None:
        """Keep what an attempt made in its worktree beyond ``base``; the ref, if anything was there.

        Of a worktree that is gone, that is what was committed on its branch.
        """
        if Path(path, ".git").exists():
            ref = ids.rescue_ref(self._job_id, item_id, attempt)
            return await self._keep(path, ref, base, reason, item_id, agent_id)
        tip = await branch_tip(self._git, ids.agent_branch(self._job_id, ids.AgentId(agent_id)))
        if tip is None or await is_ancestor(self._git, tip, base):
            return None
        return await self.commit(tip, item_id, agent_id, attempt, reason)

    async def phase(self, path: str, seq: int, base: str, reason: str) -> str | None:
        """Keep what a phase left in the session worktree that no record up to ``seq`` speaks of."""
        return await self._keep(path, self._ref(str(seq)), base, reason)

    async def commit(self, sha: str, item_id: str, agent_id: str, attempt: int, reason: str) -> str:
        """Keep a commit that is not merged; the ref."""
        ref = await keep_commit(self._git, ids.rescue_ref(self._job_id, item_id, attempt), sha)
        rescued = WorktreeRescued(ref=ref, sha=sha, reason=reason, item_id=item_id, agent_id=agent_id)
        await record(self._recorder, rescued)
        return ref

    async def misplaced(self, sha: str, branch: str) -> None:
        """Keep a commit that something other than a merge moved a branch of ours to."""
        ref = await keep_commit(self._git, self._ref("moved"), sha)
        reason = f"something other than a merge moved {branch} there"
        await record(self._recorder, WorktreeRescued(ref=ref, sha=sha, reason=reason))

    async def stashed(self, sha: str, agent_id: str | None) -> None:
        """Keep an entry that was left on the stash."""
        ref = await keep_commit(self._git, self._ref(f"stash/{agent_id or 'session'}"), sha)
        rescued = WorktreeRescued(ref=ref, sha=sha, reason="it was left on the stash", agent_id=agent_id)
        await record(self._recorder, rescued)

    async def strays(self, path: str, before: Collection[str], own: str, agent_id: str) -> bool:
        """Keep the branches that an agent made in its worktree beside its own, and remove them; whether it made any.

        Branches of other agents, which may have come since ``before``, are not its own making.
        """
        git = self._git.inside(path)
        reason = f"{agent_id} made the branch beside its own"
        agents = ids.agent_branches(self._job_id)
        strays = await rescue_strays(git, before, own, self._ref(f"branches/{agent_id}"), spared=agents)
        for kept in strays:
            rescued = WorktreeRescued(ref=kept.ref, sha=kept.sha, reason=reason, agent_id=agent_id)
            await record(self._recorder, rescued)
        return bool(strays)

    async def submodules(self, path: str, base: str, reason: str, agent_id: str | None = None) -> None:
        """Keep what was made in the submodules of a worktree and pushed nowhere; it goes with the worktree."""
        prefix = self._ref(f"submodules/{agent_id or Path(path).name}")
        for kept in await keep_submodules(self._git.inside(path), prefix, base, reason):
            rescued = WorktreeRescued(
                ref=kept.ref, sha=kept.sha, reason=reason, agent_id=agent_id, submodule=kept.submodule
            )
            await record(self._recorder, rescued)

    async def everything(self, paths: Sequence[str], branches: Sequence[str], target: str) -> None:
        """Keep whatever the commit ``target`` does not contain: branches, then what else the worktrees hold.

        What the run has kept already stays under that ref alone.
        """
        tips = await unmerged(self._git, branches, target)
        kept = await kept_commits(self._git, ids.rescue_folder(self._job_id)) if tips else set()
        for branch, tip in tips.items():
            if tip not in kept:
                ref = await keep_commit(self._git, self._ref(branch), tip)
                await record(self._recorder, WorktreeRescued(ref=ref, sha=tip, reason=_CLEANED))
        unlost = set(tips.values())
        for path in paths:
            if Path(path, ".git").exists():
                head = await ref_tip(self._git.inside(path), "HEAD")
                base = head if head is not None and head in unlost else target
                await self._keep(path, self._ref(Path(path).name), base, _CLEANED)

    def _ref(self, name: str) -> str:
        return f"{ids.rescue_folder(self._job_id)}/-/{name}"

    async def _keep(
        self,
        path: str,
        ref: str,
        base: str,
        reason: str,
        item_id: str | None = None,
        agent_id: str | None = None,
    ) -> str | None:
        await self.submodules(path, base, reason, agent_id)
        kept = await rescue(self._git.inside(path), ref, base, reason)
        if kept is None:
            return None
        rescued = WorktreeRescued(
            ref=kept.ref,
            sha=kept.sha,
            reason=reason,
            item_id=item_id,
            agent_id=agent_id,
            files=await self._changed(base, kept.sha) if item_id is not None else (),
            uncommitted=kept.uncommitted,
        )
        await record(self._recorder, rescued)
        return kept.ref

    async def _changed(self, base: str, sha: str) -> tuple[str, ...]:
        """What unmerged work changes; nobody decides anything by it."""
        try:
            return tuple(await files_changed(self._git, base, sha))[:_MOST_FILES]
        except GitFailed:
            return ()
