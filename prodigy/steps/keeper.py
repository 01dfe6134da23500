"""The program that stays with a command that is left running for good, and writes down what it prints.

Run as ``python -P -m prodigy.steps.keeper CLAIM`` by a worker: the descriptor of a claim is its argument, a ``Charge``
comes on its standard input, and ``Begun`` or ``Refused`` goes to its standard output.

Rules:

- It belongs to nobody: its parent is gone before it does anything, so no worker, zygote or reaper is above it.
- It holds the claim as long as the command runs or anything has the command's output open. So it can be seen whether
  the command still runs, whatever became of pids since.
- Secrets come through a pipe, and are masked in the logs as everywhere.
- What cannot be written is lost, and the command goes on.
"""

import os
import selectors
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from prodigy.steps.masking import Masker
from prodigy.steps.output import Logs, OutputLog
from prodigy.store.locks import Claim

_CHUNK = 64 * 1024


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What to start and where its output goes; ``log`` is the path of its log files without their suffixes."""

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    log: str
    secrets: dict[str, str]


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """The command runs."""

    pid: int
    start_time: int
    boot_id: str


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The command could not be started."""

    errno: int
    message: str


Answer = Begun | Refused


def main() -> None:
    """Be a keeper."""
    if os.fork():
        os._exit(0)  # who is waited for is gone; what is left has no parent that is ours
    claim = Claim(int(sys.argv[1]))
    os.set_inheritable(claim.descriptor, False)
    charge = msgspec.json.decode(sys.stdin.buffer.read(), type=Charge)  # half of one is none
    with Logs(Path(charge.log), Masker(charge.secrets)) as logs:
        try:
            process = _start(charge)
        except (OSError, ValueError) as error:
            _answer(Refused(getattr(error, "errno", None) or 0, _text(str(error))))
            return
        kept = claim.name(process.pid)
        _answer(Begun(kept.pid, kept.start_time, kept.boot_id))
        assert process.stdout is not None
        assert process.stderr is not None
        _write_down({process.stdout: logs[0], process.stderr: logs[1]})
        process.wait()


def _start(charge: Charge) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        charge.argv,
        cwd=charge.cwd,
        env=charge.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _answer(answer: Answer) -> None:
    """Say how it began, and let go of whoever asked."""
    with suppress(OSError):
        os.write(1, msgspec.json.encode(answer))
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nothing, standard)
    os.close(nothing)


def _write_down(streams: "dict[BinaryIO | object, OutputLog]") -> None:
    """Log what comes until all streams have ended."""
    with selectors.DefaultSelector() as selector:
        for stream, log in streams.items():
            selector.register(stream, selectors.EVENT_READ, log)  # type: ignore[arg-type] # a pipe of a process
        while selector.get_map():
            for key, _ in selector.select():
                chunk = os.read(key.fd, _CHUNK)
                if chunk:
                    with suppress(OSError):
                        key.data.write(chunk)
                else:
                    selector.unregister(key.fileobj)


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


if __name__ == "__main__":
    main()
