"""Dead letters as files and documents show them; made from the state, and their histories from the journal."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from prodigy import ids
from prodigy.events import Attempt
from prodigy.ids import AgentId
from prodigy.job.items import item_text, named
from prodigy.job.state import DeadLetter, Histories, JobState
from prodigy.job.summary import recorded
from prodigy.store.documents import (
    DeadLetterFile,
    DeadLetterLine,
    DeadLetterView,
    DlqDocument,
    DlqListDocument,
    FailureDetail,
    WorktreeArtifacts,
)


class DlqFilter(Struct, frozen=True, kw_only=True):
    """Which dead letters are wanted; what is ``None`` does not matter. ``limit`` 0 is all.

    Of a ``signature`` the beginning is enough.
    """

    eligible: bool = False
    error_class: str | None = None
    signature: str | None = None
    limit: int = 50

    def fits(self, line: DeadLetterLine) -> bool:
        """Whether a dead letter is wanted."""
        return (
            (line.reprocess_eligible or not self.eligible)
            and self.error_class in {None, line.error_class}
            and line.error_signature.startswith(self.signature or "")
        )


def dead_letter_file(state: JobState, letter: DeadLetter, history: Sequence[Attempt]) -> DeadLetterFile:
    """The file of one dead letter; ``history`` is that of its failed attempts, oldest first."""
    started = recorded(state.started)
    last = history[-1] if history else None
    branch = ids.agent_branch(started.job_id, AgentId(last.agent_id)) if last and last.agent_id else None
    return DeadLetterFile(
        seq=letter.seq,
        item_id=letter.item_id,
        index=letter.index,
        job_id=started.job_id,
        session_id=started.session_id,
        correlation_id=str(ids.correlation(recorded(state.correlation_id), letter.item_id)),
        item=letter.item,
        first_attempt=letter.first_attempt,
        last_attempt=letter.last_attempt,
        failure_count=letter.failure_count,
        failure_history=[FailureDetail.of(attempt) for attempt in history],
        error_signature=letter.error_signature,
        reprocess_eligible=letter.reprocess_eligible,
        manual_review_required=letter.manual_review_required,
        worktree_artifacts=WorktreeArtifacts(
            rescue_ref=last.rescue_ref,
            branch_name=branch,
            uncommitted_changes=last.uncommitted_changes,
            files=last.rescued_files,
        )
        if last
        else None,
        workflow_sha256=letter.workflow_sha256 or started.workflow_sha256,
        template_sha256=letter.template_sha256,
    )


def dlq_document(state: JobState, histories: Histories, wanted: Sequence[str] = ()) -> DlqDocument:
    """Whole dead letters of one job: all, or those that ``wanted`` names as people name items.

    Raises:
        UsageError: ``item-not-found`` or ``ambiguous-id``, among the items in the queue.
    """
    views = list(dead_letter_views(state, histories, wanted))
    return DlqDocument(
        job_id=recorded(state.started).job_id, items=views, total=len(state.dead_letters), shown=len(views)
    )


def dead_letter_views(
    state: JobState, histories: Histories, wanted: Sequence[str] = ()
) -> Iterator[DeadLetterView]:
    """As ``dlq_document``, each made when it is asked for."""
    return (_view(state, letter, histories(state.items[letter.item_id])) for letter in named(state, wanted))


def dlq_list(states: Iterable[JobState], wanted: DlqFilter) -> DlqListDocument:
    """Dead letters of several jobs in a line each; what is not shown is counted, and not kept."""
    shown: list[DeadLetterLine] = []
    total = 0
    for line in (line for state in states for line in dead_letter_lines(state, named(state, ()))):
        if wanted.fits(line):
            total += 1
            if not wanted.limit or len(shown) < wanted.limit:
                shown.append(line)
    return DlqListDocument(items=shown, total=total, shown=len(shown))


def dead_letter_lines(state: JobState, letters: Iterable[DeadLetter]) -> Iterator[DeadLetterLine]:
    """Dead letters of one job in a line each, made when it is asked for."""
    return (_line(state, letter) for letter in letters)


def _view(state: JobState, letter: DeadLetter, history: Sequence[Attempt]) -> DeadLetterView:
    file = dead_letter_file(state, letter, history)
    return DeadLetterView(
        **{name: getattr(file, name) for name in file.__struct_fields__},
        text=item_text(letter.item, letter.item_id),
        item_data=letter.item,
    )


def _line(state: JobState, letter: DeadLetter) -> DeadLetterLine:
    return DeadLetterLine(
        item_id=letter.item_id,
        text=item_text(letter.item, letter.item_id),
        job_id=recorded(state.started).job_id,
        failure_count=letter.failure_count,
        last_attempt=letter.last_attempt,
        error_class=letter.error_class,
        error_signature=letter.error_signature,
        reprocess_eligible=letter.reprocess_eligible,
        message=letter.message,
    )
