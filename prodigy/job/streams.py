"""Which steps' two output streams somebody reads apart, by the texts of a workflow.

Pure. Both streams in the exact order in which they were written can only be had where they are not told apart; a
name that stands before ``.stdout`` or ``.stderr`` anywhere in a workflow asks for one of the two.
"""

import re
from typing import Final

import msgspec

from prodigy.workflow.model import Workflow

_ONE_STREAM: Final = re.compile(rb"""([A-Za-z_][\w-]*)(?:\.|\[(?:'|\\"))(?:stdout|stderr)\b""")


def read_apart(workflow: Workflow) -> frozenset[str]:
    """The names of which a text of the workflow reads one stream, as ``build`` in ``${build.stderr}``."""
    return frozenset(name.decode() for name in _ONE_STREAM.findall(msgspec.json.encode(workflow)))
