"""What stands under every key of a step: the entries of the vocabularies in ``language_steps``.

Pure data; ``schema`` puts it together. Each table has the keys of one vocabulary by their canonical names.
"""

from typing import Final

from prodigy.workflow.language_steps import CLAUDE_SHORT_CUTS
from prodigy.workflow.model import Backoff, Capture, Handler, Step, WriteFile
from prodigy.workflow.schema_around import CLAUDE_OPTIONS
from prodigy.workflow.schema_values import (
    BOOLEAN,
    DURATION,
    ENVIRONMENT,
    FILLED,
    LIMIT,
    NULL,
    STEP_LIST,
    STEPS,
    TEXT,
    TEXTS,
    VARIABLE_DURATION,
    Entry,
    Table,
    choice,
    choice_of,
    count,
    either,
    integer,
    named,
    number,
    one_or_more,
    ref,
    share,
)

EXIT_CODES: Final = r"^\s*!?\s*\d{1,3}(?:\s*-\s*\d{1,3})?\s*$"
"""A number, a range, or either of them negated."""

_HANDLER: Final = either(BOOLEAN, FILLED, STEP_LIST, ref("handler"))
_THRESHOLD: Final = Entry(share(0, 100), "How complete the result must be, 0 to 100.")
_CAPTURE: Final = either(TEXT, named(TEXT))

ACTIONS: Final[Table] = {
    "shell": Entry(FILLED, "A shell script."),
    "claude": Entry(either(FILLED, ref("claude")), "A prompt for Claude, or a mapping with `prompt`."),
    "test": Entry(either(FILLED, ref("test")), "A shell script, under its old name.", old=True),
    "foreach": Entry(
        either(FILLED, {"type": "array"}, ref("foreach")),
        "Steps for each of several items: a list, a command that prints them, or a mapping.",
    ),
    "goal_seek": Entry(ref("goal-seek"), "Attempts until a check scores high enough."),
    "write_file": Entry(ref("write-file"), "Writes a file of the worktree."),
    "validate": Entry(
        either(FILLED, STEP_LIST, ref("validate")), "Steps that tell how complete the work is."
    ),
    "analyze": Entry(either(NULL, ref("analyze")), "Does nothing.", old=True),
    "command": Entry(FILLED, "A command as text: `claude: …`, `shell: …`, or a command of Claude.", old=True),
    "handler": Entry(ref("legacy-handler"), "A command as a mapping.", old=True),
    "template": Entry(FILLED, "The name of a template, whose steps stand here."),
}

CAPTURING: Final[Table] = {
    "capture": Entry(_CAPTURE, "The variable that holds the output; or several, each with what it holds."),
    "capture_output": Entry(either(BOOLEAN, TEXT), "As `capture`; `false` keeps nothing."),
    "capture_format": Entry(choice_of(Capture, "format", "text"), "What the captured text is read as."),
    "capture_streams": Entry(
        either(choice("stdout", "stderr", "both", "combined"), ref("streams")), "What is captured."
    ),
}

REPAIR: Final[Table] = {
    "max_attempts": Entry(count(1), "How often it is tried."),
    "fail_workflow": Entry(BOOLEAN, "Whether what stays failed fails the phase; `true` by default."),
    "retry_original": Entry(BOOLEAN, "Whether the step runs again after a repair, to prove it."),
}

OPTIONS: Final[Table] = {
    "id": Entry({"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_-]*$"}, "A name for later steps."),
    "name": Entry(TEXT, "What people call the step."),
    "description": Entry(TEXT, "What people call the step, if it has no `name`."),
    "when": Entry(FILLED, "An expression; the step is skipped unless it holds."),
    "timeout": Entry(LIMIT, "How long the step may take."),
    "idle_timeout": Entry(LIMIT, "How long Claude may be silent."),
    "grace": Entry(DURATION, "Time between asking a process to end and ending it."),
    "limits": Entry(ref("limits"), "What the step's processes may use."),
    "retry": Entry(ref("retry"), "How often the step is tried, and when again."),
    "retries": Entry(integer(0), "How often the step is tried again.", old=True),
    "env": Entry(ENVIRONMENT, "Environment variables of this step."),
    "clear_env": Entry(BOOLEAN, "Inherit only the most needed variables."),
    "working_dir": Entry(FILLED, "Where the step runs, relative to the worktree."),
    **CAPTURING,
    "output_file": Entry(FILLED, "A file of the worktree that gets the output."),
    "commit_required": Entry(BOOLEAN, "Fail unless the step has made a commit."),
    "auto_commit": Entry(BOOLEAN, "Commit what the step changes and leaves uncommitted."),
    "commit_config": Entry(ref("commit-config"), "How Prodigy commits what the step leaves."),
    "on_failure": Entry(_HANDLER, "Steps that repair it when it failed; `true` just goes on."),
    "on_success": Entry(STEPS, "Steps that run when it succeeded."),
    "on_exit_code": Entry(
        named(STEPS, EXIT_CODES), "Steps by exit code, such as `2`, `1-9`, or `!0` for all others."
    ),
    "continue_on_error": Entry(BOOLEAN, "Record a failure and go on."),
    "validate": Entry(
        either(FILLED, STEP_LIST, ref("validate")), "Steps that tell how complete the work is."
    ),
    "skip_validation": Entry(BOOLEAN, "Leave out `validate`."),
    "validation_timeout": Entry(LIMIT, "How long `validate` may take."),
    "ignore_validation_failure": Entry(BOOLEAN, "Go on when `validate` finds too little."),
    "outputs": Entry(
        named(either(FILLED, ref("output"))), "Files by name: globs of what the step adds or changes."
    ),
    "claude_options": Entry(ref("claude-options"), "Options of Claude."),
    **{key.name: CLAUDE_OPTIONS[key.name] for key in CLAUDE_SHORT_CUTS},
    "detach": Entry(choice_of(Step, "detach"), "How long the command may outlive its step."),
    "interpolate": Entry(BOOLEAN, "Whether variables are filled in; `true` by default."),
    "shell_program": Entry(FILLED, "What reads the script: `sh`, `bash`, or a path."),
    "args": Entry(TEXTS, "Arguments of the old form, in which `name` says what runs.", old=True),
    "options": Entry(
        named(
            {
                "type": ["string", "number", "boolean", "null", "array"],
                "items": {"type": ["string", "number", "boolean"]},
            }
        ),
        "Options of the old form, in which `name` says what runs.",
        old=True,
    ),
    "metadata": Entry(ref("metadata"), "Options of the step, in an old form.", old=True),
    "output": Entry(TEXT, "A file that should be there afterwards.", old=True),
    "with": Entry({"type": "object"}, "Values of the template's parameters."),
}

FOREACH: Final[Table] = {
    "input": Entry(
        either(FILLED, {"type": "array"}, ref("foreach-input")),
        "A list, or a command that prints the items.",
    ),
    "do": Entry(STEPS, "The steps for each item."),
    "continue_on_error": Entry(BOOLEAN, "Go on with other items when one failed."),
    "parallel": Entry(either(BOOLEAN, count(1)), "How many items at the same time; `true` is 10."),
    "max_items": Entry(count(0), "How many items there are at most."),
    "filter": Entry(FILLED, "An expression; only items for which it holds are worked on."),
    "sort_by": Entry(one_or_more(FILLED), "The order of items."),
    "json_path": Entry(TEXT, "A JSONPath to the items."),
}
FOREACH_INPUT: Final[Table] = {
    "list": Entry({"type": "array"}, "The items."),
    "command": Entry(FILLED, "A shell command that prints the items."),
    "file": Entry(FILLED, "A file of items."),
    "json_path": Entry(TEXT, "A JSONPath to the items in it."),
}
CLAUDE: Final[Table] = {"prompt": Entry(FILLED, "The prompt."), **CLAUDE_OPTIONS}
TEST: Final[Table] = {
    "command": Entry(FILLED, "The script."),
    "on_failure": Entry(_HANDLER, "Steps that repair it when it failed."),
    "timeout": Entry(LIMIT, "How long the step may take."),
}
LEGACY_HANDLER: Final[Table] = {
    "name": Entry(choice("shell", "claude"), "What runs the command."),
    "attributes": Entry(ref("legacy-handler-attributes"), "The command."),
}
LEGACY_HANDLER_ATTRIBUTES: Final[Table] = {"command": Entry(FILLED, "The command.")}
ANALYZE: Final[Table] = {
    "max_cache_age": Entry(integer(0), "Has no effect."),
    "force_refresh": Entry(BOOLEAN, "Has no effect."),
    "save": Entry(BOOLEAN, "Has no effect."),
    "format": Entry(TEXT, "Has no effect."),
}
WRITE_FILE: Final[Table] = {
    "path": Entry(FILLED, "The file, relative to the worktree."),
    "content": Entry(
        {"type": ["string", "number", "boolean", "object", "array"]},
        "Its text; or a mapping or list, for JSON and YAML.",
    ),
    "format": Entry(choice_of(WriteFile, "format"), "How it is written; `text` by default."),
    "mode": Entry(
        either({"type": "integer"}, {"type": "string", "pattern": r"^\s*(?:0o?)?[0-7]{1,4}\s*$"}),
        "Its permissions in octal, such as `0755`.",
    ),
    "create_dirs": Entry(BOOLEAN, "Make the folders above it."),
    "append": Entry(BOOLEAN, "Add to the file instead of replacing it."),
}
GOAL_SEEK: Final[Table] = {
    "goal": Entry(TEXT, "In words, what is to be reached; the step's name by default."),
    "claude": Entry(either(FILLED, ref("claude")), "One attempt: a prompt for Claude."),
    "shell": Entry(FILLED, "One attempt: a shell script."),
    "command": Entry(FILLED, "One attempt: `claude: …`, `shell: …`, or a shell script."),
    "commands": Entry(STEPS, "One attempt: steps."),
    "validate": Entry(either(FILLED, STEP_LIST, ref("validate")), "What scores an attempt."),
    "threshold": Entry(share(0, 100), "The score to reach, 0 to 100; 80 by default."),
    "max_attempts": Entry(count(1), "How many attempts there are at most; 5 by default."),
    "timeout": Entry(LIMIT, "How long all attempts together may take."),
    "fail_on_incomplete": Entry(BOOLEAN, "Fail if the score is not reached; `true` by default."),
    "check_first": Entry(BOOLEAN, "Check before the first attempt."),
    "convergence": Entry(BOOLEAN, "End when scores do not get better; `true` by default."),
}
VALIDATE: Final[Table] = {
    "shell": Entry(FILLED, "A shell script that prints the result."),
    "claude": Entry(either(FILLED, ref("claude")), "A prompt for Claude, who tells the result."),
    "commands": Entry(STEPS, "Steps that print the result."),
    "command": Entry(FILLED, "A command as text.", old=True),
    "threshold": _THRESHOLD,
    "result_file": Entry(TEXT, "A file that holds the result."),
    "timeout": Entry(LIMIT, "How long the check may take."),
    "on_incomplete": Entry(either(FILLED, STEP_LIST, ref("incomplete")), "Steps that complete the work."),
    "max_attempts": Entry(count(1), "How many rounds of `on_incomplete`; 2 by default."),
    "fail_workflow": Entry(BOOLEAN, "Whether an incomplete result fails the step; `true` by default."),
    "expected_schema": Entry({"type": "object"}, "A JSON Schema that the result must fit."),
}
INCOMPLETE: Final[Table] = {
    "commands": Entry(STEPS, "Steps that complete the work."),
    "prompt": Entry(TEXT, "Is added to what Claude is told."),
    "max_attempts": Entry(count(1), "How many rounds; 2 by default."),
    "fail_workflow": Entry(BOOLEAN, "Whether an incomplete result fails the step; `true` by default."),
    "commit_required": Entry(BOOLEAN, "Fail unless a round has made a commit."),
}
HANDLER: Final[Table] = {
    "commands": Entry(STEPS, "The steps."),
    "max_attempts": Entry(count(1), "How many rounds of repair and proof; 1 by default."),
    "timeout": Entry(LIMIT, "How long one round may take."),
    "strategy": Entry(
        choice_of(Handler, "strategy", "custom"),
        "`recovery` repairs the step, `fallback` replaces it, `cleanup` only tidies up.",
    ),
    "handler_failure_fatal": Entry(BOOLEAN, "Fail at once when the repair itself fails."),
    **CAPTURING,
}

# -- retry -------------------------------------------------------------------------------------------------------------
RETRY: Final[Table] = {
    "attempts": Entry(count(1), "How often it is run at most, the first time included; 3 by default."),
    "backoff": Entry(either(choice_of(Backoff, "kind"), ref("backoff")), "How delays grow."),
    "initial_delay": Entry(VARIABLE_DURATION, "The first delay; 1 s by default."),
    "max_delay": Entry(either(VARIABLE_DURATION, choice("none")), "The longest delay; 30 s by default."),
    "retry_budget": Entry(LIMIT, "How long all runs and delays together may take."),
    "jitter": Entry(BOOLEAN, "Make delays differ by chance."),
    "jitter_factor": Entry(number(0, 1), "By how much, 0 to 1; 0.3 by default."),
    "retry_on": Entry(
        one_or_more(either(choice("network", "timeout", "server_error", "rate_limit"), ref("retry-on"))),
        "Which failures are tried again; all by default.",
    ),
    "on_failure": Entry(
        either(choice("stop", "continue"), ref("retry-failure")),
        "What becomes of it after the last attempt.",
    ),
}
BACKOFF: Final[Table] = {
    kind: Entry(either(NULL, ref(f"backoff-{kind}")), words)
    for kind, words in (
        ("fixed", "The same delay each time."),
        ("linear", "Each delay is longer by the same time."),
        ("exponential", "Each delay is longer by the same factor."),
        ("fibonacci", "Each delay is the sum of the two before."),
        ("custom", "Delays as listed; the last one goes on."),
    )
}
BACKOFF_VALUES: Final[Table] = {
    "delay": Entry(VARIABLE_DURATION, "The delay."),
    "initial": Entry(VARIABLE_DURATION, "The first delay."),
    "increment": Entry(VARIABLE_DURATION, "What is added each time; the first delay by default."),
    "base": Entry(share(0), "The factor; 2 by default."),
    "delays": Entry(one_or_more(DURATION), "The delays."),
}
RETRY_ON: Final[Table] = {
    "pattern": Entry(TEXT, "A regular expression that is looked for in the output."),
    "exit_code": Entry(one_or_more(integer(0, 255)), "Exit codes."),
}
RETRY_FAILURE: Final[Table] = {"fallback": Entry(ref("fallback"), "Steps that stand in for it.")}
FALLBACK: Final[Table] = {
    "command": Entry(FILLED, "A command as text."),
    "commands": Entry(STEPS, "The steps."),
}

STREAMS: Final[Table] = {
    "stdout": Entry(BOOLEAN, "Standard output; `true` by default."),
    "stderr": Entry(BOOLEAN, "Standard error."),
    "exit_code": Entry(BOOLEAN, "The exit code, as `${NAME.exit_code}`."),
    "success": Entry(BOOLEAN, "Whether it succeeded, as `${NAME.success}`."),
    "duration": Entry(BOOLEAN, "How long it took in seconds, as `${NAME.duration}`."),
}
OUTPUT: Final[Table] = {"file_pattern": Entry(FILLED, "A glob of the file.")}
