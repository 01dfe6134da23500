"""Dead letters in figures: what failed alike, when, and how much of it may heal; made from states alone."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial

from msgspec import Struct, field

from prodigy.events import Attempt, ErrorClass
from prodigy.job.items import item_text
from prodigy.job.state import DeadLetter, Histories, JobState
from prodigy.job.summary import recorded

_SAMPLES = 3


class LetterSample(Struct, frozen=True, kw_only=True):
    """One of the items that failed alike, and where to read about it."""

    item_id: str
    text: str
    job_id: str
    logs: tuple[str, ...]
    json_log_location: str | None


class PatternGroup(Struct, frozen=True, kw_only=True):
    """Items whose last failures are alike; the message is that of the first one."""

    signature: str
    error_class: ErrorClass | None = field(name="class")
    count: int
    first: datetime
    last: datetime
    message: str
    samples: list[LetterSample]


class HourCount(Struct, frozen=True):
    """How many attempts failed in the hour that begins at ``hour``."""

    hour: datetime
    count: int


class DlqAnalysisDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.dlq-analysis/1``: groups with the most items first; hours in order, those without a failure left out."""

    schema: str = "prodigy.dlq-analysis/1"
    total: int
    pattern_groups: list[PatternGroup]
    error_distribution: dict[str, int]
    temporal_distribution: list[HourCount]


class DlqStatsDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.dlq-stats/1``: ``oldest`` and ``newest`` are times of last failures."""

    schema: str = "prodigy.dlq-stats/1"
    total: int
    eligible: int
    manual_review_required: int
    jobs: int
    attempts: int
    by_class: dict[str, int]
    oldest: datetime | None
    newest: datetime | None


def analysis(queues: Iterable[tuple[JobState, Histories]]) -> DlqAnalysisDocument:
    """What the queues of some jobs have in common; each comes with who reads its histories."""
    groups: dict[tuple[str, str | None], _Group] = {}
    classes: Counter[str] = Counter()
    hours: Counter[datetime] = Counter()
    for state, histories in queues:
        for job_id, letter in _of(state):
            alike = (letter.error_signature, letter.error_class)
            if alike not in groups:
                groups[alike] = _Group(letter)
            item = state.items[letter.item_id]
            groups[alike].add(job_id, letter, partial(histories, item))
            classes[letter.error_class or "unknown"] += 1
            moments = (failed.at for failed in item.failed)
            hours.update(moment.replace(minute=0, second=0, microsecond=0) for moment in moments)
    found = [group.told() for group in groups.values()]
    return DlqAnalysisDocument(
        total=classes.total(),
        pattern_groups=sorted(found, key=lambda group: (-group.count, group.signature)),
        error_distribution=dict(classes.most_common()),
        temporal_distribution=[HourCount(hour, count) for hour, count in sorted(hours.items())],
    )


def statistics(states: Iterable[JobState]) -> DlqStatsDocument:
    """How much is in the queues of some jobs."""
    classes: Counter[str] = Counter()
    jobs: set[str] = set()
    eligible = attempts = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    for job_id, letter in _letters(states):
        classes[letter.error_class or "unknown"] += 1
        jobs.add(job_id)
        eligible += letter.reprocess_eligible
        attempts += letter.failure_count
        oldest = min(oldest or letter.last_attempt, letter.last_attempt)
        newest = max(newest or letter.last_attempt, letter.last_attempt)
    return DlqStatsDocument(
        total=classes.total(),
        eligible=eligible,
        manual_review_required=classes.total() - eligible,
        jobs=len(jobs),
        attempts=attempts,
        by_class=dict(classes.most_common()),
        oldest=oldest,
        newest=newest,
    )


def _letters(states: Iterable[JobState]) -> Iterator[tuple[str, DeadLetter]]:
    """All of them; of the states one is kept at a time, besides the one that comes."""
    for state in states:
        yield from _of(state)


def _of(state: JobState) -> Iterator[tuple[str, DeadLetter]]:
    job_id = recorded(state.started).job_id
    return ((job_id, letter) for letter in state.dead_letters.values())


class _Group:
    """Items whose last failures are alike, counted one by one."""

    def __init__(self, first: DeadLetter) -> None:
        self._signature = first.error_signature
        self._class = first.error_class
        self._message = first.message
        self._count = 0
        self._first = self._last = first.last_attempt
        self._samples: list[LetterSample] = []

    def add(self, job_id: str, letter: DeadLetter, history: Callable[[], Sequence[Attempt]]) -> None:
        self._count += 1
        self._first = min(self._first, letter.last_attempt)
        self._last = max(self._last, letter.last_attempt)
        if len(self._samples) < _SAMPLES:
            self._samples.append(_sample(job_id, letter, history()))

    def told(self) -> PatternGroup:
        return PatternGroup(
            signature=self._signature,
            error_class=self._class,
            count=self._count,
            first=self._first,
            last=self._last,
            message=self._message,
            samples=self._samples,
        )


def _sample(job_id: str, letter: DeadLetter, history: Sequence[Attempt]) -> LetterSample:
    last = history[-1] if history else None
    return LetterSample(
        item_id=letter.item_id,
        text=item_text(letter.item, letter.item_id),
        job_id=job_id,
        logs=last.logs if last else (),
        json_log_location=last.json_log_location if last else None,
    )
