"""Commands that are left running for good: started where nobody ends them, and known again when a run goes on.

What is left running until the agent or the run ends hangs below a slot as everything else does, and needs none of this
but the claim.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import trio

from prodigy.crash_points import crash_point
from prodigy.steps.keeper import Answer, Begun, Charge, Refused
from prodigy.store.locks import Claim, Holder, holder
from supervisors import SpawnFailed

MARK: Final = "PRODIGY_JOB_ID"
"""The variable by which a step's processes say whose they are."""
LEFT: Final = "PRODIGY_DETACHED"
"""The variable, with the same value, by which those that are left running for good say so."""
_START_LIMIT = 30.0
_POLL = 0.02

_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def left_for_good(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command that nobody is to end."""
    return {**env, LEFT: env[MARK]} if MARK in env else dict(env)


async def release(charge: Charge, claim: Claim) -> Begun:
    """Start a command for good, with a keeper beside it; neither is a descendant of ours.

    Args:
        charge: what to start.
        claim: taken for it; the keeper holds it from now on.

    Raises:
        SpawnFailed: it could not be started; nothing of it runs.
    """
    with trio.move_on_after(_START_LIMIT, shield=True):
        with crash_point("keeper.charge"):
            said = await _charged(charge, claim)
        match _answers.decode(said) if said else Refused(0, "the process that was to keep it has ended"):
            case Refused(errno, message):
                raise SpawnFailed(errno, message)
            case begun:
                return begun
    raise SpawnFailed(0, "the process that was to keep it did not answer")


async def _charged(charge: Charge, claim: Claim) -> bytes:
    """Start the keeper and give it its charge; what it answers, nothing if it ended before."""
    with crash_point("keeper.spawn"):
        process = await trio.lowlevel.open_process(
            [sys.executable, "-P", "-m", "prodigy.steps.keeper", str(claim.descriptor)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it would hold ours open for ever
            cwd="/",
            pass_fds=(claim.descriptor,),
            start_new_session=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    async with process.stdout:
        try:
            async with process.stdin:
                await process.stdin.send_all(msgspec.json.encode(charge))
            return b"".join([bytes(chunk) async for chunk in process.stdout])
        except trio.BrokenResourceError:
            return b""
        finally:
            await process.wait()


async def kept(path: Path) -> Holder | None:
    """The process for which a claim is held; ``None`` once it is free.

    A claim without a name is that of a keeper that is just starting its command, or ends because nobody tells it
    which: that takes a moment.
    """
    with trio.move_on_after(_START_LIMIT):
        while (found := holder(path)) is not None and not found.pid:  # noqa: ASYNC110 - strangers set no events
            await trio.sleep(_POLL)
    return found
