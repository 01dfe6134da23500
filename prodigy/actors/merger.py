"""The merger: the only one that moves the session branch, and in the end the target branch.

One merge at a time, in the order they are asked for. Intent before effect, outcome after: a merge whose outcome was
not recorded is asked of git again, and a source that the branch already contains is not merged twice.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf
from typing import Literal, TypedDict

import msgspec
from msgspec import structs

from prodigy import events, ids
from prodigy.actors.asking import persistently
from prodigy.actors.keeping import Keeper
from prodigy.actors.recorder import Ledger, RecorderRef, record
from prodigy.actors.resting import Disk, NotWritable
from prodigy.actors.workspace_requests import Forget, WorkspacesRef
from prodigy.errors import ProdigyError, RunError
from prodigy.git.contents import added_content, added_files
from prodigy.git.final import Foreseen, foresee, merge_into
from prodigy.git.forge import Forge
from prodigy.git.merge import Conflict, Merged, Strategy, foretell, merge
from prodigy.git.patience import patiently
from prodigy.git.repository import branch_tip, ref_tip
from prodigy.job.items import item_text
from prodigy.job.plan import RunPlan
from prodigy.steps.masking import Masker
from supervisors import Actor, ActorRef, Reason, Reply


class MergeAgent(msgspec.Struct, frozen=True):
    """Merge an agent's commit into the session branch; answered when the outcome is recorded."""

    item_id: str
    agent_id: ids.AgentId
    source: str
    reply: Reply[None]


class Resolved(msgspec.Struct, frozen=True):
    """A commit that merges an item's work into ``onto``, to be merged into the session branch; ``claude`` made it."""

    item_id: str
    agent_id: str
    commit: str
    onto: str
    claude: bool


class MergeResolved(msgspec.Struct, frozen=True):
    """Merge it; the answer is false, and nothing is recorded, if it collides with what was merged since."""

    resolved: Resolved
    reply: Reply[bool]


class Stand(msgspec.Struct, frozen=True):
    """See that the session branch is where the journal says; the answer is whether somebody had moved it."""

    reply: Reply[bool]


class MergeFinal(msgspec.Struct, frozen=True):
    """Merge the session branch into the branch that the run started from."""

    reply: Reply[None]


class Foresee(msgspec.Struct, frozen=True):
    """Say what the final merge would give; nothing moves."""

    reply: Reply[Foreseen]


class Rest(msgspec.Struct, frozen=True):
    """Answer when every merge asked for before is done or refused."""

    reply: Reply[None]


Message = MergeAgent | MergeResolved | Stand | MergeFinal | Foresee | Rest
MergerRef = ActorRef[Message]


class Private(msgspec.Struct, frozen=True):
    """What no commit may bring into a branch: the values of secrets, and the files that worktrees were given."""

    masker: Masker
    included: frozenset[str] = frozenset()


class Merger(Actor[Message]):
    """Merges for one run.

    Args:
        plan: branches and ids.
        forge: what merges are made with.
        ledger, recorder: what is known, and where it is written.
        workspaces: told of branches that are no longer needed.
        private: what must not be merged.
        disk: is asked before a merge of an agent's work is called failed.
        patience: seconds that the final merge may take; ``None``: for ever.
    """

    def __init__(
        self,
        plan: RunPlan,
        forge: Forge,
        ledger: Ledger,
        recorder: RecorderRef,
        workspaces: WorkspacesRef,
        private: Private,
        disk: Disk,
        patience: Callable[[], float | None],
    ) -> None:
        self._plan = plan
        self._forge = forge
        self._ledger = ledger
        self._recorder = recorder
        self._workspaces = workspaces
        self._private = private
        self._disk = disk
        self._patience = patience
        self._keeper = Keeper(forge.git, plan.job_id, recorder)

    async def stopped(self, _reason: Reason) -> None:
        """Leave no worktree behind."""
        with suppress(ProdigyError):  # what remains is removed with the session's
            await self._forge.bench.close()

    async def handle(self, message: Message) -> None:
        """Merge; a merge that cannot be done is a recorded outcome, not a crash."""
        try:
            match message:
                case MergeAgent(reply=reply):
                    await self._merge_agent(message)
                    reply.send(None)
                case MergeResolved(resolved, merged):
                    merged.send(await self._merge_resolved(resolved))
                case Stand(moved):
                    moved.send(await self._put_back())
                case MergeFinal(reply):
                    await self._merge_final()
                    reply.send(None)
                case Foresee(foreseen):
                    foreseen.send(await self._foresee())
                case Rest(reply):
                    reply.send(None)
        except ProdigyError as error:
            message.reply.fail(error)

    # -- agents ----------------------------------------------------------------------------------------------------------
    async def _merge_agent(self, wanted: MergeAgent) -> None:
        if self._ledger.state.items[wanted.item_id].status == "done":
            return  # it was merged and recorded before this actor was started again
        target = self._plan.branch
        tip = await self._tip()
        whose = _Whose(
            what="agent", target_branch=target, item_id=wanted.item_id, agent_id=str(wanted.agent_id)
        )
        intent = await record(
            self._recorder,
            events.MergeIntended(source=wanted.source, expected_old=tip, **whose),
        )
        try:
            await self._refuse_private(tip, wanted.source)
            message = self._message(wanted.item_id)
            outcome = await merge(self._forge, f"refs/heads/{target}", wanted.source, message)
        except ProdigyError as error:
            await self._disk.acquit(f"{error}\n{error.note}")
            await self._keep(wanted, "its merge failed")
            failed = events.MergeFailed(
                intent=intent, message=str(error), error_class=refusal_class(error), **whose
            )
            await record(self._recorder, failed)
        else:
            if isinstance(outcome, Conflict):
                await self._keep(wanted, "it collided with what was merged before")
            await record(self._recorder, self._agent_outcome(outcome, intent, whose))
        await self._workspaces.tell(Forget(ids.agent_branch(self._plan.job_id, wanted.agent_id)))

    def _agent_outcome(self, outcome: Merged | Conflict, intent: int, whose: "_Whose") -> events.AnyEvent:
        if isinstance(outcome, Conflict):
            policy = self._plan.on_conflict
            return events.MergeConflicted(intent=intent, paths=outcome.paths, policy=policy, **whose)
        return events.WorktreeMerged(
            intent=intent, old=outcome.old, new=outcome.new, strategy=outcome.strategy, **whose
        )

    async def _merge_resolved(self, resolved: Resolved) -> bool:
        """Merge what a conflict was resolved to; false if that collides in its turn.

        Raises:
            RunError: ``secret-committed``, ``included-committed``, ``merge-failed``; nothing was merged.
        """
        if self._ledger.state.items[resolved.item_id].status == "done":
            return True
        tip = await self._tip()
        await self._refuse_private(tip, resolved.commit)
        if tip != resolved.onto and isinstance(await foretell(self._forge, tip, resolved.commit), Conflict):
            return False
        target = self._plan.branch
        whose = _Whose(
            what="agent", target_branch=target, item_id=resolved.item_id, agent_id=resolved.agent_id
        )
        intended = events.MergeIntended(source=resolved.commit, expected_old=tip, **whose)
        intent = await record(self._recorder, intended)
        message = self._message(resolved.item_id)
        outcome = await merge(self._forge, f"refs/heads/{target}", resolved.commit, message)
        done = self._agent_outcome(outcome, intent, whose)
        if isinstance(done, events.WorktreeMerged) and resolved.claude:
            done = structs.replace(done, strategy="claude")
        await record(self._recorder, done)
        return True

    async def _tip(self) -> str:
        """The session branch's tip; the branch is seen to be there while Claude resolves a conflict."""
        state = self._ledger.state
        if any(item.resolution is not None for item in state.items.at_work()):
            await self._put_back()
        return state.tip or self._plan.base_commit

    async def _put_back(self) -> bool:
        """Move the session branch back to its tip if something else moved it; what it names then is kept."""
        state, git = self._ledger.state, self._forge.git
        tip, ref = state.tip or self._plan.base_commit, f"refs/heads/{self._plan.branch}"
        found = await ref_tip(git, ref)
        unsure = any(isinstance(one, events.MergeIntended) for one in state.git_intents.values())
        if found == tip or unsure:
            return False
        if found is not None:
            await self._keeper.misplaced(found, self._plan.branch)
        await patiently(lambda: git.run("update-ref", "-m", "prodigy: put back", ref, tip))
        return True

    async def _keep(self, wanted: MergeAgent, reason: str) -> None:
        """Keep what is not merged under a ref, before anybody can forget its branch."""
        attempt = self._ledger.state.items[wanted.item_id].attempts
        await self._keeper.commit(wanted.source, wanted.item_id, wanted.agent_id, attempt, reason)

    def _message(self, item_id: str) -> str:
        item = self._ledger.state.items[item_id]
        return "\n".join(
            [
                f"Merge {item_text(item.item, item.item_id)}",
                "",
                f"Prodigy-Job: {self._plan.job_id}",
                f"Prodigy-Item: {item_id}",
                "",
            ]
        )

    # -- the final merge ---------------------------------------------------------------------------------------------------
    async def _merge_final(self) -> None:
        plan = self._plan
        if self._ledger.state.merge in {"merged", "nothing"}:
            return
        source, target = self._source, plan.target
        begun = self._ledger.state.git_intents.values()
        interrupted = any(isinstance(one, events.MergeIntended) and one.what == "final" for one in begun)
        intent = await record(
            self._recorder,
            events.MergeIntended(
                what="final", source=source, target_branch=target, expected_old=plan.base_commit
            ),
        )
        try:
            await self._require_target()
            await self._refuse_private(plan.base_commit, source)
            done = await merge_into(
                self._forge,
                source,
                target,
                self._final_message(),
                interrupted=plan.base_commit if interrupted else None,
                patience=inf if (limit := self._patience()) is None else limit,
            )
        except ProdigyError as error:
            failed = events.MergeFailed(
                intent=intent,
                what="final",
                target_branch=target,
                message=str(error),
                error_class=refusal_class(error),
            )
            await record(self._recorder, failed)
            raise
        await record(
            self._recorder,
            events.WorktreeMerged(
                intent=intent,
                what="final",
                target_branch=done.target.branch or target,
                old=done.merged.old,
                new=done.merged.new,
                strategy=self._strategy(done.merged, source),
            ),
        )

    def _strategy(self, merged: Merged, source: str) -> Strategy | Literal["already"]:
        """How the target came to contain the work: not by this merge, if it did before."""
        by_others = merged.strategy == "nothing" and source != self._plan.base_commit
        return "already" if by_others else merged.strategy

    async def _foresee(self) -> Foreseen:
        await self._require_target()
        return await foresee(self._forge, self._source, self._plan.target, self._final_message())

    async def _refuse_private(self, base: str, source: str) -> None:
        """Nothing, unless a commit adds a file of the user's own, or the value of a secret in a message or a file."""
        included, masker = self._private.included, self._private.masker
        added = included and included & await added_files(self._forge.git, base, source)
        if added:
            raise RunError(
                "included-committed",
                f"A commit adds `{min(added)}`, which `include` names, and is not merged",
                where=source,
                hint="included files are for the worktrees only; the commit itself is kept",
            )
        if masker and masker.found(await added_content(self._forge.git, base, source)):
            raise RunError(
                "secret-committed",
                "A commit contains the value of a secret, and is not merged",
                where=source,
                hint="keep the value out of files and messages; the commit itself is kept",
            )

    @property
    def _source(self) -> str:
        return self._ledger.state.source or self._plan.base_commit

    async def _require_target(self) -> None:
        """Nothing, unless the workflow names a branch that is not there; the original one has a stand-in."""
        named = self._plan.merge_target
        if named is not None and await branch_tip(self._forge.git, named) is None:
            raise RunError(
                "merge-target-missing", f"`merge.target` names `{named}`, and there is no such branch"
            )

    def _final_message(self) -> str:
        plan = self._plan
        return f"Merge {plan.workflow.name} ({plan.session_id})\n\nProdigy-Job: {plan.job_id}\n"


class _Whose(TypedDict):
    what: Literal["agent"]
    target_branch: str
    item_id: str
    agent_id: str


def refusal_class(error: ProdigyError, otherwise: events.ErrorClass = "worktree-error") -> events.ErrorClass:
    """What kind of failure it is that something was not merged."""
    match error.code:
        case "secret-committed" | "included-committed":
            return error.code
        case _:
            return otherwise


async def merge_agent(merger: MergerRef, item_id: str, agent_id: ids.AgentId, source: str) -> None:
    """Merge an agent's commit; returns when the outcome is recorded, whatever it is, unless the disk refuses."""
    with suppress(NotWritable):  # the run is being stopped
        await persistently(merger, partial(MergeAgent, item_id, agent_id, source))


async def merge_resolved(merger: MergerRef, resolved: Resolved) -> bool:
    """Merge what a conflict was resolved to; false if that collides with what was merged since.

    Raises:
        RunError: it must not be merged, or could not be.
    """
    return await persistently(merger, partial(MergeResolved, resolved))


async def stand(merger: MergerRef) -> bool:
    """See that the session branch is where the journal says; whether somebody had moved it."""
    return await persistently(merger, Stand)


async def merge_final(merger: MergerRef) -> None:
    """Merge the session branch into its target.

    Raises:
        RunError: ``merge-conflict`` and others; nothing was merged.
    """
    await persistently(merger, MergeFinal)


async def foresee_final(merger: MergerRef) -> Foreseen:
    """What the final merge would give.

    Raises:
        RunError: ``merge-conflict``, ``merge-target-missing``.
    """
    return await persistently(merger, Foresee)


async def merges_done(merger: MergerRef) -> None:
    """Wait until the merger has nothing more to do."""
    await persistently(merger, Rest)
