"""``--backend NAME``: what ``claude:`` steps run."""

from typing import Annotated

from cyclopts import Parameter

from prodigy.events import Backend
from prodigy.steps.backends import require

BackendFlag = Annotated[str | None, Parameter(name="--backend", metavar="NAME")]


def given_backend(name: str | None) -> Backend | None:
    """The backend of the flag; ``None`` without it.

    Raises:
        UsageError: ``backend-unknown``.
    """
    return None if name is None else Backend(name=require(name))
