"""A rehearsal's file, from text to a ``Script``; every problem has its place.

Pure.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from prodigy.events import Phase
from prodigy.rehearsal.script import (
    COST,
    AnyAct,
    Commit,
    Delete,
    Exit,
    Fail,
    Give,
    Hang,
    Limit,
    Quota,
    Run,
    Say,
    Scene,
    Script,
    Tokens,
    Wait,
    Write,
)
from prodigy.workflow.fields import Field, Fields, Reader, Value
from prodigy.workflow.globs import BadGlob, Glob
from prodigy.workflow.nodes import Listing, Node, value_of
from prodigy.workflow.nodes import Mapping as MappingNode
from prodigy.workflow.problems import Problems, WorkflowInvalid, quoted
from prodigy.workflow.refs import Malformed, compile_text
from prodigy.workflow.source import decode, read
from prodigy.workflow.vocabulary import acting, vocabulary

SCRIPT: Final = vocabulary(
    "a rehearsal", "at the top of a rehearsal", acting("scenes", "otherwise", "cost", "tokens", "quota")
)
SCENE: Final = vocabulary(
    "a scene",
    "in a scene",
    acting("phase", "step", "item", "prompt", "model", "attempt", "times", "acts"),
)
ACTIONS: Final = acting(
    "say", "write", "append", "delete", "run", "commit", "value", "wait", "rate_limit", "fail", "hang", "exit"
)
ACT: Final = vocabulary("an act", "in an act", ACTIONS, acting("text", "status", "cost", "tokens"))
QUOTA: Final = vocabulary("`quota`", "under `quota:`", acting("launches", "per"))
TOKENS: Final = vocabulary("`tokens`", "under `tokens:`", acting("input", "output"))

_TAKES: Final[Mapping[str, tuple[str, ...]]] = {
    "write": ("text", "cost", "tokens"),
    "append": ("text", "cost", "tokens"),
    "fail": ("status",),
    **dict.fromkeys(("say", "delete", "run", "commit", "value"), ("cost", "tokens")),
}
"""The options of each action; the others have none."""


def read_script(data: bytes, name: str) -> Script:
    """The script of a file.

    Args:
        data: the file, UTF-8 YAML.
        name: how the user calls it.

    Raises:
        WorkflowInvalid: with every problem.
    """
    problems = Problems(name)
    text = decode(data, problems)
    root = None if text is None else read(text, problems)
    script = None if problems.invalid else _Scripts(problems).script(root)
    if script is None or problems.invalid:
        shown = data.decode("utf-8-sig", "replace") if text is None else text
        raise WorkflowInvalid(problems.sorted(), {name: shown})
    return script


class _Scripts(Reader):
    """Reads scenes and acts."""

    def script(self, root: Node | None) -> Script | None:
        if not isinstance(root, MappingNode):
            at = root if root is not None else MappingNode([], 1, 1, 1, 2)
            self.problems.error("wrong-type", "a rehearsal is a mapping with `scenes`", at)
            return None
        fields = self.fields(root, SCRIPT)
        if not fields.attempted(("scenes", "otherwise")):
            self.problems.error("missing-key", "a rehearsal needs `scenes`, or `otherwise`", root)
        otherwise = fields.get("otherwise")
        return Script(
            scenes=tuple(
                scene for entry in self._list(fields.get("scenes")) if (scene := self._scene(entry))
            ),
            otherwise=None if otherwise is None else self._acts(otherwise),
            cost=_given(self.number(fields.get("cost"), 0), COST),
            tokens=self._tokens(fields) or Tokens(),
            quota=self._quota(fields.get("quota")),
        )

    def _quota(self, entry: Field | None) -> Quota | None:
        if entry is None:
            return None
        fields = self.inside(entry, QUOTA)
        launches, per = self.integer(fields.get("launches"), 0), self.fixed_seconds(fields.get("per"))
        if not fields.attempted(("launches",)) or not fields.attempted(("per",)):
            self.problems.error("missing-key", "`quota` needs `launches` and `per`", entry.key)
        return None if launches is None or per is None else Quota(launches, per)

    def _tokens(self, fields: Fields) -> Tokens | None:
        entry = fields.get("tokens")
        if entry is None:
            return None
        inner, own = self.inside(entry, TOKENS), Tokens()
        return Tokens(
            _given(self.integer(inner.get("input"), 0), own.input),
            _given(self.integer(inner.get("output"), 0), own.output),
        )

    # -- scenes --------------------------------------------------------------------------------------------------------
    def _scene(self, entry: Field) -> Scene | None:
        if not isinstance(entry.value, MappingNode):
            self.wrong_type(entry.value, "a scene", "a mapping")
            return None
        fields = self.fields(entry.value, SCENE)
        get, acts = fields.get, fields.get("acts")
        if not fields.attempted(("acts",)):
            self.problems.error("missing-key", "a scene needs `acts`", entry.value)
        return Scene(
            place=str(self.mark(entry.value)),
            acts=() if acts is None else self._acts(acts),
            phase=self.choice(get("phase"), get_args(Phase)),
            step=self._glob(get("step")),
            item=self._glob(get("item")),
            prompt=self.pattern(get("prompt")),
            model=self._glob(get("model")),
            attempt=self.integer(get("attempt"), 1),
            times=self.integer(get("times"), 1),
        )

    def _glob(self, entry: Field | None) -> str | None:
        text = self.text(entry)
        if entry is None or text is None:
            return None
        try:
            Glob(text)
        except BadGlob as error:
            self.problems.error("bad-value", error.message, entry.value)
        return text

    # -- acts ----------------------------------------------------------------------------------------------------------
    def _acts(self, entry: Field) -> tuple[AnyAct, ...]:
        return tuple(act for element in self._list(entry) if (act := self._act(element)) is not None)

    def _act(self, entry: Field) -> AnyAct | None:
        if not isinstance(entry.value, MappingNode):
            self.wrong_type(entry.value, "an act", "a mapping", "such as `- say: done`")
            return None
        fields = self.fields(entry.value, ACT)
        actions = [fields.found[key.name] for key in ACTIONS if key.name in fields.found]
        if len(actions) != 1:
            if actions or not fields.attempted(key.name for key in ACTIONS):
                names = ", ".join(quoted(key.name) for key in ACTIONS)
                self.problems.error("bad-value", "an act does one thing", entry.value, f"one of {names}")
            return None
        [action] = actions
        for name in fields.found.keys() - {action.name} - set(_TAKES.get(action.name, ())):
            message = f"{quoted(name)} has no meaning for {quoted(action.name)}"
            self.problems.error("unknown-key", message, fields.found[name].key)
        return self._made(action, fields)

    def _made(self, action: Field, fields: Fields) -> AnyAct | None:
        paid: dict[str, Any] = {
            "cost": self.number(fields.get("cost"), 0),
            "tokens": self._tokens(fields),
        }
        makers: Mapping[str, Callable[[], AnyAct]] = {
            "say": lambda: Say(text=self._filled_in(action), **paid),
            "write": lambda: self._write(action, fields, paid),
            "append": lambda: self._write(action, fields, paid, append=True),
            "delete": lambda: Delete(path=self._filled_in(action), **paid),
            "run": lambda: Run(script=self.filled(action) or "", **paid),
            "commit": lambda: Commit(message=self._filled_in(action), **paid),
            "value": lambda: Give(value=value_of(action.value), **paid),
            "wait": lambda: Wait(seconds=self.fixed_seconds(action) or 0.0),
            "rate_limit": lambda: Limit(seconds=self.fixed_seconds(action) or 0.0),
            "fail": lambda: Fail(
                text=self._filled_in(action), status=self.integer(fields.get("status"), 100, 599)
            ),
            "hang": lambda: Hang(stubborn=self.choice(action, ("true", "stubborn")) == "stubborn"),
            "exit": lambda: Exit(code=self.integer(action, 0, 255) or 0),
        }
        return makers[action.name]()

    def _write(
        self, action: Field, fields: Fields, paid: Mapping[str, Any], *, append: bool = False
    ) -> Write:
        text = fields.get("text")
        if text is None:
            self.problems.error("missing-key", f"{quoted(action.name)} needs a `text`", action.key)
        return Write(
            path=self._filled_in(action),
            text="" if text is None else self._filled_in(text),
            append=append,
            **paid,
        )

    # -- how -----------------------------------------------------------------------------------------------------------
    def _list(self, entry: Field | None) -> list[Field]:
        if entry is None:
            return []
        if not isinstance(entry.value, Listing):
            self.wrong_type(entry.value, quoted(entry.key.text), "a list")
            return []
        return self.each(entry)

    def _filled_in(self, entry: Field) -> str:
        """A text whose references can be read."""
        text = self.text(entry) or ""
        for part in compile_text(text).refs():
            if isinstance(part, Malformed):
                self.problems.error("bad-reference", f"{quoted(part.source)} is no reference", entry.value)
        return text


def _given(value: Value | None, default: Value) -> Value:
    return default if value is None else value
