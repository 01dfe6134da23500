"""The status of a run as a word or two, wherever lists and verbs tell it."""

from datetime import datetime

from prodigy.cli.text import clock_time
from prodigy.job.summary import JobSummary


def status_text(run: JobSummary, now: datetime) -> str:
    """The status of a run; of one that is paused, or lives and waits, also what for: ``paused (quota until 14:05)``."""
    if run.live and run.quota_until is not None:
        return f"{run.status} (quota until {clock_time(run.quota_until, now)})"
    if run.pause is None:
        return run.status
    until = f" until {clock_time(run.pause.until, now)}" if run.pause.until is not None else ""
    return f"paused ({run.pause.reason}{until})"
