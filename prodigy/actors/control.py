"""The end of a run's socket at which questions are answered (``store.control``).

Whatever goes wrong here, a socket that cannot be made or somebody who speaks nonsense, is no matter of the run's.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import trio

from prodigy.crash_points import crash_point
from prodigy.decoding import JsonDecoder
from prodigy.errors import ProdigyError
from prodigy.store.atomic import FILE_MODE, private_folder
from prodigy.store.control import LONGEST_QUESTION, Question, Standing, address_of

_read_question = JsonDecoder(Question)

_PATIENCE = 2.0
"""Seconds that a question and its answer may take on their way."""
_WAITING = 16
"""Callers that may wait for their turn."""


async def answer_questions(path: Path, standing: Callable[[], Standing]) -> None:
    """Answer at the socket ``path`` until cancelled; it takes the place of one that an earlier process left.

    Args:
        path: of the socket; only the holder of the job's lock may call this.
        standing: how the run stands at this moment.
    """
    try:
        listener = await _listener(path)
    except (OSError, ProdigyError):
        return

    async def answer(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, msgspec.DecodeError):
            with trio.move_on_after(_PATIENCE):
                question = _read_question(await _line(stream))
                if question.ask == "tree":
                    await stream.send_all(msgspec.json.encode(standing()) + b"\n")
            await stream.aclose()

    try:
        await trio.serve_listeners(answer, [listener])
    finally:
        with crash_point("control.close"), suppress(OSError):
            path.unlink()


async def _listener(path: Path) -> trio.SocketListener:
    private_folder(path.parent, durable=False)
    with crash_point("control.open"):
        path.unlink(missing_ok=True)
        line = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        with address_of(path) as address:
            await line.bind(address)
        path.chmod(FILE_MODE)
        line.listen(_WAITING)
    return trio.SocketListener(line)


async def _line(stream: trio.SocketStream) -> bytes:
    """The first line that comes, without what is behind it."""
    text = bytearray()
    while b"\n" not in text and len(text) < LONGEST_QUESTION:
        part = await stream.receive_some(LONGEST_QUESTION)
        if not part:
            break
        text += part
    return bytes(text.partition(b"\n")[0])
