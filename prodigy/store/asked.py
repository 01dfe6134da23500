"""What a run was asked to do: ``job.json`` and ``workflow.yml`` in its state folder.

No projections: they exist nowhere else, so they are on disk before the first record that counts on them is. A workflow
that takes the place of the first one has files of its own beside it, named by the digest of its text.
"""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from prodigy.decoding import JsonDecoder
from prodigy.ids import JobId
from prodigy.job.plan import RunPlan
from prodigy.paths import Layout
from prodigy.store.atomic import write_file

_SHORT_SHA = 8


class Job(Struct, frozen=True, kw_only=True):
    """``job.json``."""

    v: int = 1
    created_at: datetime
    plan: RunPlan


_read_job = JsonDecoder(Job)


def write_asked(
    layout: Layout, plan: RunPlan, text: bytes, created_at: datetime, *, replaces: bool = False
) -> None:
    """Keep what was asked, and the workflow's text as run; neither may hold the value of a secret.

    ``replaces``: the plan's workflow takes the place of the one that the run was begun with.

    Raises:
        MachineError: ``storage-full`` or ``storage-denied``.
    """
    sha256 = plan.workflow_sha256 if replaces else None
    write_file(_file(layout, plan.job_id, "workflow", "yml", sha256), text)
    job = msgspec.json.format(msgspec.json.encode(Job(created_at=created_at, plan=plan)), indent=2)
    write_file(_file(layout, plan.job_id, "job", "json", sha256), job + b"\n")


def asked(layout: Layout, job: JobId, sha256: str | None = None) -> RunPlan | None:
    """The plan in ``job.json``; ``None`` if that is gone, or was written by another release in another form.

    ``sha256`` is the digest of the workflow in force, which may have taken the place of the first one.
    """
    for digest in (sha256, None):
        with suppress(OSError, msgspec.DecodeError):
            path = _file(layout, job, "job", "json", digest)
            plan = _read_job(path.read_bytes()).plan
            if sha256 in {None, plan.workflow_sha256}:
                return plan
    return None


def _file(layout: Layout, job: JobId, name: str, suffix: str, sha256: str | None) -> Path:
    return layout.state(job) / (f"{name}-{sha256[:_SHORT_SHA]}.{suffix}" if sha256 else f"{name}.{suffix}")
