"""Wrong messages are type errors: mypy must object to exactly the lines that say so."""

import re
from pathlib import Path

from mypy import api

USER = """
from functools import partial
import msgspec
from supervisors._actor import Actor
from supervisors._child import ChildSpec
from supervisors._ref import ActorRef
from supervisors._reply import Reply
from supervisors._supervisor import DynamicSupervisorSpec, Supervisor

class Add(msgspec.Struct):
    amount: int

class Read(msgspec.Struct):
    reply: Reply[int]

class Share(msgspec.Struct):
    parts: int
    reply: Reply[float]

class Counter(Actor[Add | Read | Share]):
    async def handle(self, message: Add | Read | Share) -> None:
        match message:
            case Read(reply):
                reply.send(1)
                reply.send("one")  # error
            case _:
                pass

async def use(dynamic: DynamicSupervisorSpec) -> None:
    spec = ChildSpec("counter", Counter)
    await spec.ref.tell(Add(1))
    await spec.ref.tell("add")  # error
    spec.ref.tell_nowait(1)  # error
    total: int = await spec.ref.ask(Read)
    share: float = await spec.ref.ask(partial(Share, 3))
    text: str = await spec.ref.ask(Read)  # error
    await spec.ref.ask(Add)  # error
    narrow: ActorRef[Add] = spec.ref
    wide: ActorRef[Add | str] = spec.ref  # error
    counter = await dynamic.ref.start_child(spec)
    await counter.tell(Add(total))
    await counter.tell(share)  # error
    Supervisor([spec, dynamic])
    Supervisor([Counter])  # error
    print(text, narrow, wide)
"""


def test_mypy_sees_wrong_messages(tmp_path: Path) -> None:
    """No line too many, none too few."""
    file = tmp_path / "user.py"
    file.write_text(USER)
    cache = ["--cache-dir", str(tmp_path / "cache")]
    root = Path(__file__).parents[3]
    output, problems, _ = api.run(
        ["--strict", "--config-file", str(root / "pyproject.toml"), *cache, str(file)]
    )
    assert problems == ""
    expected = [number for number, line in enumerate(USER.splitlines(), 1) if line.endswith("# error")]
    found = [int(match[1]) for match in re.finditer(r"user\.py:(\d+): error", output)]
    assert sorted(set(found)) == expected, output
