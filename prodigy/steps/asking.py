"""Values that only git, the clock or chance can tell: asked because a text refers to them, once per try, and recorded.

What was answered is the outcome of a leaf ``{path}.asked``, so that a resumed run decides as the first one did.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from prodigy.steps.durable import Done, Leaf
from prodigy.steps.stage import Stage
from prodigy.steps.variables import Span, Variables
from prodigy.workflow.scope import Question
from prodigy.workflow.texts import Uses

OF_CHANGES: Final = frozenset({
    "files_added", "files_modified", "files_deleted", "files_changed", "files", "commits", "commit_count",
    "insertions", "deletions",
})  # fmt: skip
"""Fields of ``step``, ``workflow`` and ids that git answers for."""
_TOLD: Final = frozenset({"date", "uuid"})
"""Computed values that clock and chance tell; others are worked out."""


async def ask(stage: Stage, variables: Variables, uses: Uses, path: str, try_: int) -> None:
    """Answer what the texts of a step ask for, before they are filled in.

    A question is ``("git", "")``, ``("changes", root)``, ``("time", root)``, or a computed value's kind and argument.
    """
    told = {question for question in uses.computed if question[0] in _TOLD}
    questions = sorted({*_questions(uses, variables), *told})
    if not questions:
        variables.answered({}, {})
        return

    async def action(_intent: int) -> Done:
        return Done(value=[[*question, await _answer(stage, variables, *question)] for question in questions])

    outcome = await stage.door.durable(f"{path}.asked", try_, Leaf(kind="asked"), action)
    asked: dict[str, Any] = {}
    computed: dict[Question, Any] = {}
    for kind, argument, answer in outcome.value:
        if kind in _TOLD:
            computed[kind, argument] = answer
        else:
            root = argument or kind
            asked[root] = {**asked.get(root, {}), **answer}
    variables.answered(asked, computed)


def _questions(uses: Uses, variables: Variables) -> Iterator[Question]:
    for path in uses.paths:
        root, field = str(path[0]), path[1] if len(path) > 1 else None
        if root == "git":
            yield "git", ""
        elif field in OF_CHANGES and (root in {"workflow", "step"} or root in variables.spans):
            yield "changes", root
        elif (root, field) in {("workflow", "duration"), ("error", "timestamp")}:
            yield "time", root


async def _answer(stage: Stage, variables: Variables, kind: str, argument: str) -> Any:
    match kind:
        case "date":
            return stage.oracle.now().strftime(argument)
        case "uuid":
            return stage.oracle.uuid()
        case "git":
            return await _standing(stage)
        case "time" if argument == "workflow":
            return _duration(variables, stage.oracle.now())
        case "time":
            return {"timestamp": stage.oracle.now().isoformat()}
        case _:
            return await _changes(stage, variables.spans.get(argument) or _since_when(stage, argument))


def _since_when(stage: Stage, root: str) -> Span:
    """What a root without a span of its own speaks of: the workflow of all there is, ``step`` of nothing yet."""
    return Span(stage.base) if root == "workflow" else Span(stage.head, stage.head)


def _duration(variables: Variables, now: datetime) -> Mapping[str, Any]:
    started = variables.lookup(("workflow", "started_at"))
    if not isinstance(started, str):
        return {}
    return {"duration": round((now - datetime.fromisoformat(started)).total_seconds(), 3)}


async def _standing(stage: Stage) -> Mapping[str, Any]:
    found = await stage.worktree.standing()
    return {
        "branch": found.branch,
        "commit": found.commit,
        "short_commit": found.short_commit,
        "staged_files": found.staged,
        "unstaged_files": found.unstaged,
        "modified_files": sorted({*found.staged, *found.unstaged}),
        "untracked_files": found.untracked,
    }


async def _changes(stage: Stage, span: Span) -> Mapping[str, Any]:
    """What happened between two commits; in a step that still runs, up to the files as they are now."""
    made = await stage.worktree.changes(span.before, span.after)
    commits = (await stage.worktree.history(span.before, span.after or stage.head)).commits
    return {
        "files_added": made.added,
        "files_modified": made.modified,
        "files_deleted": made.deleted,
        "files_changed": made.files,
        "files": made.files,
        "commits": [commit.sha for commit in commits],
        "commit_count": len(commits),
        "insertions": made.insertions,
        "deletions": made.deletions,
    }
