"""The vocabulary of steps: actions, options, handlers, and the mappings that hang below them.

Pure data, like ``language``, which holds the vocabulary of everything around steps.
"""

from typing import Final

from prodigy.workflow.language import CLAUDE_OPTIONS
from prodigy.workflow.vocabulary import Key, Spelling, Vocabulary, acting, inert, later, vocabulary

ACTIONS: Final = (
    *acting("shell", "claude", "test", "foreach", "goal_seek", "write_file", "validate"),
    Key("analyze", nullable=True),
    *acting("command", "handler"),
    *acting("template=use"),
)
"""What a step does; a step has exactly one (``validate`` beside another is an option of it)."""

ACTION_NAMES: Final = tuple(key.name for key in ACTIONS)

CLAUDE_SHORT_CUTS: Final = acting(
    "model", "max_turns", "allowed_tools", "disallowed_tools", "append_system_prompt", "permission_mode",
    "json_schema", "effort",
)  # fmt: skip
"""Options of Claude that may stand right in a step."""

CLAUDE_NAMES: Final = frozenset({"claude_options", "idle_timeout"}) | frozenset(
    key.name for key in CLAUDE_SHORT_CUTS
)
"""Keys of a step that matter to Claude only."""

CAPTURING: Final = acting("capture", "capture_output", "capture_format", "capture_streams")

CAPTURE_NAMES: Final = frozenset(key.name for key in CAPTURING)

LEGACY_NAMES: Final = frozenset({"args", "options", "metadata"})
"""Keys of the old structured form, in which ``name`` says what runs."""

_OPTIONS: Final = (
    *acting("id", "name", "description"),
    Key("when", old=("condition", "if")),
    Key("timeout", old=("timeout_secs",)),
    *acting("idle_timeout", "grace", "limits"),
    Key("retry", old=("retry_config",)),
    *acting("retries", "env", "clear_env", "working_dir=cwd"),
    *CAPTURING,
    *acting("output_file", "commit_required", "auto_commit", "commit_config"),
    *acting("on_failure", "on_success", "on_exit_code"),
    Key("continue_on_error", also=("ignore_failure",), old=("allow_failure",)),
    *acting(
        "skip_validation", "validation_timeout", "ignore_validation_failure", "outputs", "claude_options"
    ),
    *CLAUDE_SHORT_CUTS,
    *acting("detach", "interpolate", "shell_program", "args", "options", "metadata", "output"),
    *later("step_validate"),
    *acting("with"),
    inert("temporary", "the environment of a step is always temporary"),
    inert("analysis", "analysis is not part of a step"),
)

_REPAIR: Final = acting("max_attempts", "fail_workflow", "retry_original")

STEP: Final = vocabulary("a step", "in a step", ACTIONS, _OPTIONS, _REPAIR)

_FOREACH_OPTIONS: Final = acting("parallel", "max_items", "filter", "sort_by", "json_path")

FOREACH_OPTIONS: Final = ("do", "continue_on_error", *(key.name for key in _FOREACH_OPTIONS))
"""Canonical names of the options of ``foreach``, which may stand inside it or beside it."""


def _beside_foreach(plain: Vocabulary) -> Vocabulary:
    options = (Key("do"), *_FOREACH_OPTIONS)
    return Vocabulary(
        plain.title, plain.home, {**plain.spellings, **{key.name: Spelling(key) for key in options}}
    )


FOREACH_STEP: Final = _beside_foreach(STEP)
"""A step with ``foreach``."""

FOREACH: Final = vocabulary(
    "`foreach`",
    "under `foreach:`",
    acting("input=foreach=items", "do=commands=steps", "continue_on_error"),
    _FOREACH_OPTIONS,
)

FOREACH_INPUT: Final = vocabulary(
    "the items of `foreach`", "under `foreach.input:`", acting("list", "command", "file", "json_path")
)

CLAUDE: Final = vocabulary(
    "`claude`",
    "under `claude:`",
    acting("prompt=command"),
    tuple(spelling.key for spelling in CLAUDE_OPTIONS.spellings.values()),
)

TEST: Final = vocabulary("`test`", "under `test:`", acting("command", "on_failure", "timeout"))

LEGACY_HANDLER: Final = vocabulary("`handler`", "under `handler:`", acting("name", "attributes"))

LEGACY_HANDLER_ATTRIBUTES: Final = vocabulary(
    "the attributes of `handler`", "under `attributes:`", acting("command")
)

ANALYZE: Final = vocabulary(
    "`analyze`", "under `analyze:`", acting("max_cache_age", "force_refresh", "save", "format")
)

METADATA: Final = vocabulary(
    "`metadata`",
    "under `metadata:`",
    acting("timeout", "retries", "env", "continue_on_error", "commit_required"),
    (inert("analysis", "analysis is not part of a step"),),
)

WRITE_FILE: Final = vocabulary(
    "`write_file`",
    "under `write_file:`",
    acting("path", "content", "format", "mode", "create_dirs", "append"),
)

_GOAL_SEEK: Final = (
    *acting("goal", "claude", "shell", "command", "commands=steps", "validate", "threshold", "max_attempts"),
    Key("timeout", also=("timeout_seconds",)),
    *acting("fail_on_incomplete", "check_first", "convergence"),
)

GOAL_SEEK: Final = vocabulary(
    "`goal_seek`",
    "under `goal_seek:`",
    _GOAL_SEEK,
    _OPTIONS,
)
"""Options of the step may stand inside too."""

GOAL_SEEK_NAMES: Final = frozenset(key.name for key in _GOAL_SEEK)
"""Canonical names of what speaks of the search itself."""

VALIDATE: Final = vocabulary(
    "`validate`",
    "under `validate:`",
    acting("shell", "claude", "commands=steps", "command", "threshold", "result_file", "timeout"),
    acting("on_incomplete", "fail_workflow", "max_attempts", "expected_schema"),
    (
        inert("force_refresh", "a check always runs"),
        inert("max_cache_age", "a check always runs"),
    ),
)

_INCOMPLETE: Final = acting("commands=steps", "prompt", "max_attempts", "fail_workflow", "commit_required")

INCOMPLETE: Final = vocabulary("`on_incomplete`", "under `on_incomplete:`", _INCOMPLETE, ACTIONS, _OPTIONS)

FOREACH_INCOMPLETE: Final = _beside_foreach(INCOMPLETE)

INCOMPLETE_NAMES: Final = frozenset(key.name for key in _INCOMPLETE)
"""Canonical names of what speaks of the rounds; all others speak of the mapping's own step."""

_HANDLER: Final = (
    Key("commands", also=("steps",)),
    Key("max_attempts", old=("max_retries",)),
    *acting("fail_workflow", "retry_original", "timeout", "strategy", "handler_failure_fatal"),
    *CAPTURING,
)

HANDLER: Final = vocabulary("`on_failure`", "under `on_failure:`", _HANDLER, ACTIONS, _OPTIONS)

FOREACH_HANDLER: Final = _beside_foreach(HANDLER)

HANDLER_NAMES: Final = frozenset(key.name for key in _HANDLER)
"""Canonical names of what speaks of the handler; all others speak of the mapping's own step."""


OF_THE_LAST_STEP: Final = frozenset({
    "id", "name", "description", "retry", "retries", "output_file", "commit_required", "on_failure", "on_success",
    "on_exit_code", "continue_on_error", "outputs", "output", "validate",
}) | CAPTURE_NAMES  # fmt: skip
"""Options that belong to the last of several actions in one mapping: they speak of a result, the others of how to run."""

RETRY: Final = vocabulary(
    "`retry`",
    "under `retry:`",
    acting("attempts=max_attempts", "backoff"),
    (
        Key("initial_delay", old=("initial_delay_ms",)),
        Key("max_delay", old=("max_delay_ms",)),
        Key("retry_budget", old=("retry_budget_ms",)),
    ),
    acting("jitter", "jitter_factor", "retry_on", "on_failure"),
)

BACKOFF: Final = vocabulary(
    "`backoff`",
    "under `backoff:`",
    tuple(Key(kind, nullable=True) for kind in ("fixed", "linear", "exponential", "fibonacci", "custom")),
    acting("type"),
    words=True,
)

_INITIAL: Final = Key("initial", old=("initial_ms",))

BACKOFF_KEYS: Final = {
    "fixed": (Key("delay", also=("initial",), old=("delay_ms",)),),
    "linear": (_INITIAL, Key("increment", old=("increment_ms",))),
    "exponential": (_INITIAL, *acting("base=multiplier")),
    "fibonacci": (_INITIAL,),
    "custom": acting("delays"),
}
"""What each kind of backoff may say."""

RETRY_ON: Final = vocabulary("`retry_on`", "under `retry_on:`", acting("pattern", "exit_code"), words=True)

RETRY_FAILURE: Final = vocabulary("`retry.on_failure`", "under `on_failure:`", acting("fallback"), words=True)

FALLBACK: Final = vocabulary("`fallback`", "under `fallback:`", acting("command", "commands=steps"))

STREAMS: Final = vocabulary(
    "`capture_streams`",
    "under `capture_streams:`",
    acting("stdout", "stderr", "exit_code", "success", "duration"),
)

OUTPUT: Final = vocabulary("an output", "under `outputs:`", acting("file_pattern"))
