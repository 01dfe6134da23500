"""What a rehearsal is to play: scenes, and what is done in them.

Pure, and what crosses to the player. Texts may hold references (``${item.path}``), which are filled in when they are
played; see ``setting.Setting.roots``.
"""

from typing import Any, Final

from msgspec import Struct

COST: Final = 0.01
"""US dollars of a reply, where the script does not say it."""


class Tokens(Struct, frozen=True):
    """Of one reply."""

    input: int = 1000
    output: int = 100


class Act(Struct, frozen=True, kw_only=True, tag_field="act"):
    """One thing that happens; ``None`` is what the script says for all of them."""

    cost: float | None = None
    tokens: Tokens | None = None


class Say(Act, frozen=True, kw_only=True, tag="say"):
    """The model says something; what it says last is the answer."""

    text: str


class Write(Act, frozen=True, kw_only=True, tag="write"):
    """A file gets new content, or more of it; its folders are made."""

    path: str
    text: str
    append: bool = False


class Delete(Act, frozen=True, kw_only=True, tag="delete"):
    """A file or a folder is removed, if it is there."""

    path: str


class Run(Act, frozen=True, kw_only=True, tag="run"):
    """A script runs; if it fails, that is a tool that failed and no more."""

    script: str


class Commit(Act, frozen=True, kw_only=True, tag="commit"):
    """Everything is committed, if there is anything."""

    message: str


class Give(Act, frozen=True, kw_only=True, tag="value"):
    """The structured value of the answer."""

    value: Any


class Wait(Act, frozen=True, kw_only=True, tag="wait"):
    """Seconds in which nothing happens."""

    seconds: float


class Limit(Act, frozen=True, kw_only=True, tag="rate_limit"):
    """The conversation is turned away, until so many seconds from now."""

    seconds: float


class Fail(Act, frozen=True, kw_only=True, tag="fail"):
    """The launch ends with an error; ``status`` is that of the API, if it is one of those."""

    text: str
    status: int | None = None


class Hang(Act, frozen=True, kw_only=True, tag="hang"):
    """Nothing happens any more; ``stubborn``: not even when it is asked to end."""

    stubborn: bool = False


class Exit(Act, frozen=True, kw_only=True, tag="exit"):
    """The process ends without an account of itself."""

    code: int


AnyAct = Say | Write | Delete | Run | Commit | Give | Wait | Limit | Fail | Hang | Exit
REPLIES: Final = (Say, Write, Delete, Run, Commit, Give)
"""What is a reply of the model, and costs something."""


class Scene(Struct, frozen=True, kw_only=True):
    """What is done in launches that fit all of it; ``None`` fits every launch.

    ``step``, ``item`` and ``model`` are globs, ``prompt`` is a regular expression that is looked for in the prompt.
    """

    place: str
    """Where it stands."""
    acts: tuple[AnyAct, ...]
    phase: str | None = None
    step: str | None = None
    item: str | None = None
    prompt: str | None = None
    model: str | None = None
    attempt: int | None = None
    times: int | None = None
    """How many conversations of one step and item it is for; the next ones are for later scenes."""


class Quota(Struct, frozen=True):
    """How many launches of a run are let through in a stretch of time, in seconds."""

    launches: int
    per: float


class Script(Struct, frozen=True, kw_only=True):
    """A whole rehearsal. Without ``otherwise`` a launch that no scene fits fails."""

    scenes: tuple[Scene, ...] = ()
    otherwise: tuple[AnyAct, ...] | None = None
    cost: float = COST
    tokens: Tokens = Tokens()
    quota: Quota | None = None
