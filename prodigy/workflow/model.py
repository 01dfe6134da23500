"""The typed workflow: canonical names only, defaults resolved, every node with its mark.

Pure. Built by ``parse`` from marked YAML nodes; read by the checker, the planner and the interpreter; crosses
processes as msgspec. Durations are seconds, sizes bytes, ``None`` means no limit. A ``Text`` is interpolated where it
is used, a ``Deferred`` value is read and checked then.
"""

from typing import Any, Literal, get_args

from msgspec import Struct, structs


# -- parts of everything -------------------------------------------------------------------------------------------
class Mark(Struct, frozen=True):
    """Where a node stands: file as the user named it, line and column from 1."""

    file: str = "<workflow>"
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        """``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"


class Text(Struct, frozen=True):
    """A text with references, by the plain rule unless its owner says otherwise."""

    source: str
    mark: Mark = Mark()


class Expr(Struct, frozen=True):
    """An expression (``workflow.expression``), already known to parse."""

    source: str
    mark: Mark = Mark()


class Deferred(Struct, frozen=True):
    """A typed value that is written as a reference (``"${LIMIT}"``): filled in, read as ``kind`` and checked when used."""

    source: str
    kind: Literal["duration", "integer", "number", "size"]
    mark: Mark = Mark()
    least: float | None = None
    """The smallest value that is accepted."""


Seconds = float | Deferred | None
Count = int | Deferred
Share = float | Deferred
Bytes = int | Deferred | None


Until = Literal["agent", "run", "forever"]
"""Whose end is the end of a command that is left running; ``forever``: nobody's."""


# -- policies ------------------------------------------------------------------------------------------------------
class Backoff(Struct, frozen=True, kw_only=True):
    """How long to wait before the second and every later run; see ``job.retry``."""

    kind: Literal["fixed", "linear", "exponential", "fibonacci", "custom"] = "exponential"
    initial: Seconds = 1.0
    increment: Seconds = None
    """Of ``linear``; ``initial`` if absent."""
    factor: Share = 2.0
    """Of ``exponential``."""
    delays: tuple[float, ...] = ()
    """Of ``custom``; its last value goes on."""
    max_delay: Seconds = 30.0
    jitter: float = 0.0
    """A delay is multiplied by 1 ± this · u, with u uniform between 0 and 1."""


class RetryOn(Struct, frozen=True, kw_only=True):
    """One kind of failure that is tried again."""

    kind: Literal["network", "timeout", "server_error", "rate_limit", "pattern", "exit_code"]
    pattern: str | None = None
    exit_codes: tuple[int, ...] = ()


class Retry(Struct, frozen=True, kw_only=True):
    """``retry``: ``attempts`` runs at most, the first without delay. Empty ``retry_on`` means any failure."""

    attempts: Count = 3
    backoff: Backoff = Backoff()
    retry_on: tuple[RetryOn, ...] = ()
    budget: Seconds = None
    """Delays and runs together; a delay that would pass it is not begun."""
    on_failure: Literal["stop", "continue", "fallback"] = "stop"
    fallback: tuple["Step", ...] = ()


class Limits(Struct, frozen=True, kw_only=True):
    """What the process tree of a step, or of an agent's whole attempt, may use."""

    memory: Bytes = None
    cpu_time: Seconds = None
    wall: Seconds = None
    processes: Count | None = None
    output: Bytes = None
    open_files: Count | None = None


class Budget(Struct, frozen=True, kw_only=True):
    """What the whole job may spend; ``soft`` is the share at which nothing new starts."""

    usd: Share | None = None
    tokens: Count | None = None
    wall: Seconds = None
    launches: Count | None = None
    soft: float = 0.9


class CircuitBreaker(Struct, frozen=True, kw_only=True):
    """Pause after ``failure_threshold`` failed items in a row; after ``timeout`` try again."""

    failure_threshold: int = 5
    success_threshold: int = 3
    timeout: float = 30.0
    half_open_requests: int = 3


class ErrorPolicy(Struct, frozen=True, kw_only=True):
    """What becomes of items that fail, and when no more are started. ``batch`` is 0 unless failures are told in batches."""

    on_item_failure: Literal["dlq", "retry", "skip", "stop"] = "dlq"
    retry: Retry | None = None
    continue_on_failure: bool = True
    max_failures: int | None = None
    failure_threshold: float | None = None
    error_collection: Literal["aggregate", "immediate", "batched"] = "aggregate"
    batch: int = 0
    circuit_breaker: CircuitBreaker | None = None


class TimeoutConfig(Struct, frozen=True, kw_only=True):
    """``timeout_config``: ``commands`` holds seconds by kind of step."""

    agent_timeout: Seconds = None
    commands: dict[str, float] = {}
    policy: Literal["per_agent", "per_command", "hybrid"] = "hybrid"
    grace: float | None = None
    action: Literal["dlq", "skip", "fail", "graceful_terminate"] = "dlq"


class CommitConfig(Struct, frozen=True, kw_only=True):
    """How Prodigy commits what steps leave."""

    message_template: Text | None = None
    message_pattern: str | None = None
    author: str | None = None
    sign: bool = False
    include_files: tuple[str, ...] = ()
    exclude_files: tuple[str, ...] = ()
    squash: bool = False


class ClaudeOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Options of the Claude CLI; ``None`` leaves the decision to the next outer level."""

    model: str | None = None
    fallback_model: str | None = None
    max_turns: Count | None = None
    max_budget_usd: Share | None = None
    effort: str | None = None
    allowed_tools: tuple[str, ...] | None = None
    disallowed_tools: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    system_prompt: Text | None = None
    append_system_prompt: Text | None = None
    permission_mode: str | None = None
    json_schema: Any = None
    add_dir: tuple[str, ...] | None = None
    mcp_config: tuple[str, ...] | None = None
    strict_mcp_config: bool | None = None
    settings: str | None = None
    setting_sources: str | None = None
    agents: Any = None
    extra_args: tuple[str, ...] | None = None

    def over(self, outer: "ClaudeOptions") -> "ClaudeOptions":
        """These options with what they leave open taken from ``outer``."""
        given = {name: value for name, value in structs.asdict(self).items() if value is not None}
        return structs.replace(outer, **given)


# -- environment ---------------------------------------------------------------------------------------------------
class EnvValue(Struct, frozen=True, kw_only=True):
    """One way to get a variable's value.

    ``text``: plain text that may name other variables. ``literal``: taken as it is. ``command``: what it prints.
    ``condition``: one of two. ``env``, ``file``: a variable of the process, a file's content.
    """

    kind: Literal["text", "literal", "command", "condition", "env", "file"] = "text"
    text: str = ""
    """Text, command, name of a variable, or path."""
    cache: bool = True
    timeout: float | None = 30.0
    condition: Expr | None = None
    when_true: str = ""
    when_false: str = ""
    mark: Mark = Mark()


class EnvVar(Struct, frozen=True, kw_only=True):
    """A declared variable: its value by profile, ``""`` for all others. A secret is masked wherever it shows."""

    name: str
    values: dict[str, EnvValue] = {}
    secret: bool = False
    mark: Mark = Mark()


class EnvFile(Struct, frozen=True, kw_only=True):
    """A file of ``NAME=value`` lines."""

    path: str
    required: bool = False
    explicit: bool = False
    """Whether ``required`` was written, or only a path."""
    mark: Mark = Mark()


class Environment(Struct, frozen=True, kw_only=True):
    """One layer of variables, as a workflow, a profile, a phase or a step declares it."""

    variables: tuple[EnvVar, ...] = ()
    secrets: tuple[EnvVar, ...] = ()
    files: tuple[EnvFile, ...] = ()


class Profile(Struct, frozen=True, kw_only=True):
    """A named layer that ``--profile`` puts over the workflow's own."""

    name: str
    environment: Environment = Environment()
    description: str | None = None


# -- steps ---------------------------------------------------------------------------------------------------------
class Shell(Struct, frozen=True, tag="shell", tag_field="kind"):
    """A script for the step's shell program; ``mark`` is where its text stands."""

    script: str
    mark: Mark = Mark()

    @property
    def text(self) -> str:
        """As people call it."""
        return self.script


class Test(Struct, frozen=True, tag="test", tag_field="kind"):
    """A script as ``Shell``, under its old name."""

    __test__ = False

    script: str
    mark: Mark = Mark()

    @property
    def text(self) -> str:
        """As people call it."""
        return self.script


class Claude(Struct, frozen=True, tag="claude", tag_field="kind"):
    """A prompt for Claude, by the plain rule."""

    prompt: str
    mark: Mark = Mark()

    @property
    def text(self) -> str:
        """As people call it."""
        return self.prompt


class Items(Struct, frozen=True, kw_only=True):
    """Where the items of a ``foreach`` come from: ``auto`` is one reference to a list, else a shell command."""

    source: Literal["auto", "list", "command", "file"]
    text: str = ""
    items: tuple[Any, ...] = ()
    mark: Mark = Mark()


class Foreach(Struct, frozen=True, kw_only=True, tag="foreach", tag_field="kind"):
    """Steps for each of several items, in the step's own worktree."""

    input: Items
    steps: tuple["Step", ...]
    parallel: Count = 1
    continue_on_error: bool = False
    json_path: str = ""
    filter: Expr | None = None
    sort_by: str = ""
    """Keys as ``workflow.ordering`` reads them, joined by commas."""
    max_items: Count | None = None

    @property
    def text(self) -> str:
        """As people call it."""
        return f"foreach {self.input.text or f'of {len(self.input.items)} items'}"


class Incomplete(Struct, frozen=True, kw_only=True):
    """What to do about a result below the threshold; ``prompt`` is appended to what Claude steps are told."""

    steps: tuple["Step", ...] = ()
    prompt: Text | None = None
    max_attempts: Count = 2
    fail_workflow: bool = True
    commit_required: bool = False


class Check(Struct, frozen=True, kw_only=True, tag="validate", tag_field="kind"):
    """``validate``: steps whose output, or ``result_file``, says how complete the work is."""

    steps: tuple["Step", ...]
    threshold: Share = 100.0
    result_file: Text | None = None
    timeout: Seconds = None
    on_incomplete: Incomplete | None = None
    fail_workflow: bool = True
    expected_schema: Any = None
    mark: Mark = Mark()

    @property
    def text(self) -> str:
        """As people call it."""
        return "validate"


class GoalSeek(Struct, frozen=True, kw_only=True, tag="goal_seek", tag_field="kind"):
    """Attempts (``steps``) until ``check`` scores ``threshold``, nothing gets better, or no attempt is left."""

    goal: Text
    steps: tuple["Step", ...]
    check: Check
    threshold: Share = 80.0
    max_attempts: Count = 5
    timeout: Seconds = None
    fail_on_incomplete: bool = True
    check_first: bool = False
    convergence: bool = True

    @property
    def text(self) -> str:
        """As people call it."""
        return self.goal.source


class WriteFile(Struct, frozen=True, kw_only=True, tag="write_file", tag_field="kind"):
    """A file of the worktree. ``data`` is a mapping or list whose strings are texts; otherwise ``content`` is given."""

    path: Text
    content: Text | None = None
    data: Any = None
    format: Literal["text", "json", "yaml"] = "text"
    mode: int = 0o644
    create_dirs: bool = False
    append: bool = False

    @property
    def text(self) -> str:
        """As people call it."""
        return f"write {self.path.source}"


class Analyze(Struct, frozen=True, tag="analyze", tag_field="kind"):
    """Does nothing and succeeds; of older files."""

    @property
    def text(self) -> str:
        """As people call it."""
        return "analyze"


class SubWorkflow(Struct, frozen=True, kw_only=True, tag="workflow", tag_field="kind"):
    """Another workflow's steps with variables of their own: ``inputs`` in, ``outputs`` out as ``${NAME.output}``."""

    name: str
    steps: tuple["Step", ...]
    parameters: dict[str, Any] = {}
    inputs: dict[str, Text] = {}
    outputs: tuple[str, ...] = ()
    environment: Environment = Environment()

    @property
    def text(self) -> str:
        """As people call it."""
        return f"workflow {self.name}"


Action = Shell | Test | Claude | Foreach | GoalSeek | WriteFile | Check | Analyze | SubWorkflow
COMPOUND = Foreach | GoalSeek | Check | SubWorkflow
"""Actions that are made of steps."""


class Capture(Struct, frozen=True, kw_only=True):
    """A variable that a step sets.

    ``source`` is what of the step it holds; ``argument`` is the path of ``json`` and the pattern of ``pattern``.
    ``fields`` are further values set under the same name, such as ``NAME.exit_code``.
    """

    name: str
    source: Literal["stdout", "stderr", "both", "exit_code", "success", "duration", "json", "pattern"] = (
        "stdout"
    )
    argument: str | None = None
    format: Literal["string", "raw", "json", "lines", "number", "boolean"] = "string"
    fields: tuple[Literal["exit_code", "success", "duration", "stdout", "stderr"], ...] = ()
    mark: Mark = Mark()


class Handler(Struct, frozen=True, kw_only=True):
    """What to do when a step failed, and how often.

    ``retry_original`` runs the step again after a handler that succeeded, to prove the repair. ``steps`` may be
    empty: then the step is only run again. ``max_attempts`` is 0 when nothing is tried at all and the failure is
    only recorded (``on_failure: true``, ``continue_on_error``). ``timeout`` bounds one round of ``steps``.
    """

    steps: tuple["Step", ...] = ()
    timeout: Seconds = None
    max_attempts: Count = 1
    fail_workflow: bool = True
    retry_original: bool = True
    strategy: Literal["recovery", "fallback", "cleanup"] = "recovery"
    handler_failure_fatal: bool = False
    captures: tuple[Capture, ...] = ()
    """Of the handler's last step."""


class ExitCodes(Struct, frozen=True, kw_only=True):
    """Steps for some exit codes: those in one of the inclusive ``ranges``, or all others if ``negated``."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False
    steps: tuple["Step", ...] = ()

    def __contains__(self, code: int) -> bool:
        """Whether the steps are for this code."""
        return any(first <= code <= last for first, last in self.ranges) != self.negated


class OutputFile(Struct, frozen=True, kw_only=True):
    """``outputs.NAME``: the newest file that the step added or changed and that the glob matches."""

    name: str
    pattern: str
    mark: Mark = Mark()


class Local(Struct, frozen=True, kw_only=True):
    """A variable that only one step sees, of a template's use: a text, filled in as the step begins, or plain data."""

    name: str
    text: Text | None = None
    """A text that is one reference and nothing else keeps the type of its value."""
    data: Any = None


class Step(Struct, frozen=True, kw_only=True):
    """One step with its options.

    What steps inherit is already resolved here: ``auto_commit``, ``commit``, ``retry``, ``grace``, ``idle_timeout``,
    ``shell_program``, ``claude`` and ``limits`` hold what counts for this step.
    """

    action: Action
    mark: Mark = Mark()
    id: str | None = None
    name: str | None = None
    locals: tuple[Local, ...] = ()
    when: Expr | None = None
    timeout: Seconds = None
    timeout_is_standard: bool = False
    """Whether that is what holds for all steps that do not say it."""
    idle_timeout: Seconds = None
    grace: float | None = None
    """``None``: the workflow's."""
    limits: Limits | None = None
    retry: Retry | None = None
    environment: Environment | None = None
    clear_env: bool = False
    working_dir: Text | None = None
    captures: tuple[Capture, ...] = ()
    keep_output: bool = True
    """Whether ``${KIND.output}`` is set (``capture_output: false`` is not)."""
    output_file: Text | None = None
    outputs: tuple[OutputFile, ...] = ()
    expected_output: Text | None = None
    """The old ``output``: a file that should be there afterwards, else there is a warning."""
    commit_required: bool = False
    auto_commit: bool = True
    commit: CommitConfig | None = None
    validate: Check | None = None
    on_failure: Handler | None = None
    on_success: tuple["Step", ...] = ()
    on_exit_code: tuple[ExitCodes, ...] = ()
    claude: ClaudeOptions = ClaudeOptions()
    detach: Until | None = None
    interpolate: bool = True
    shell_program: str = "sh"

    @property
    def kind(self) -> str:
        """The action's name in the language, e.g. ``shell``."""
        return str(type(self.action).__struct_config__.tag)

    @property
    def label(self) -> str:
        """What people call the step: its name, else the first line of its command."""
        lines = (line.strip() for line in self.text.splitlines())
        return self.name or next(filter(None, lines), self.kind)

    @property
    def text(self) -> str:
        """What the step runs or writes, as it stands in the file."""
        return self.action.text


# -- phases --------------------------------------------------------------------------------------------------------
class PhaseOutput(Struct, frozen=True, kw_only=True):
    """``setup.capture_outputs.NAME``: a value of one of the phase's steps, by index from 0, id or name."""

    name: str
    step: int | str
    source: Literal["stdout", "stderr", "both"] = "stdout"
    pattern: str | None = None
    json_path: str | None = None
    format: Literal["string", "raw", "json", "lines", "number", "boolean"] = "string"
    max_size: int = 1024 * 1024
    default: Any = None
    has_default: bool = False
    multiline: Literal["preserve", "join", "first_line", "last_line", "array"] = "preserve"
    mark: Mark = Mark()


class StepList(Struct, frozen=True, kw_only=True):
    """The steps of a phase other than map, with the phase's own limit and layer of the environment."""

    steps: tuple[Step, ...]
    timeout: Seconds = None
    environment: Environment = Environment()
    outputs: tuple[PhaseOutput, ...] = ()
    target: str | None = None
    """Of ``merge``: the branch to merge into instead of the original one."""
    mark: Mark = Mark()


class MapInput(Struct, frozen=True, kw_only=True):
    """Where the work items come from.

    ``auto`` decides at run time between an existing file and a command, by the rule of the language reference.
    """

    source: Literal["auto", "file", "command", "list"]
    text: str = ""
    items: tuple[Any, ...] = ()
    mark: Mark = Mark()


class ItemValidation(Struct, frozen=True, kw_only=True):
    """``map.validation``: what every item must look like, and what becomes of one that does not."""

    required_fields: tuple[str, ...] = ()
    field_types: dict[str, str] = {}
    on_failure: Literal["dlq", "skip", "stop"] = "dlq"


AggregateType = Literal[
    "count", "sum", "average", "min", "max", "median", "std_dev", "variance", "collect", "unique", "concat", "merge",
    "flatten", "sort", "sort_desc", "group_by",
]  # fmt: skip
AGGREGATE_TYPES: tuple[AggregateType, ...] = get_args(AggregateType)


class Aggregate(Struct, frozen=True, kw_only=True):
    """One of ``map.variables``: what the results of the agents that succeeded become; see ``job.aggregates``."""

    name: str
    type: AggregateType
    value: Expr | None = None
    where: Expr | None = None
    by: Expr | None = None
    """What the groups of ``group_by`` are named by."""
    initial: Any = None
    mark: Mark = Mark()


OnConflict = Literal["claude", "rerun", "dlq"]


class MapPhase(Struct, frozen=True, kw_only=True):
    """One agent per item."""

    input: MapInput
    agent_template: tuple[Step, ...]
    json_path: str = ""
    filter: Expr | None = None
    sort_by: str = ""
    """Keys as ``workflow.ordering`` reads them, joined by commas."""
    distinct: str = ""
    max_parallel: Count = 10
    parallel_named: bool = False
    """Whether the workflow itself says how many."""
    max_items: Count | None = None
    offset: Count = 0
    item_id: str | None = None
    item_id_mark: Mark = Mark()
    input_timeout: Seconds = 300.0
    agent_timeout: Seconds = None
    timeout: float | None = None
    """Of the whole phase."""
    timeouts: TimeoutConfig = TimeoutConfig()
    policy: ErrorPolicy = ErrorPolicy()
    validation: ItemValidation | None = None
    base: Literal["map_start", "tip"] = "map_start"
    on_conflict: OnConflict | None = None
    limits: Limits | None = None
    environment: Environment = Environment()
    variables: tuple[Aggregate, ...] = ()
    mark: Mark = Mark()


class WorktreeFiles(Struct, frozen=True, kw_only=True):
    """``worktree``: what a fresh worktree needs besides what is committed."""

    include: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    setup: tuple[Step, ...] = ()
    setup_key: tuple[str, ...] = ()


class Workflow(Struct, frozen=True, kw_only=True):
    """A whole workflow: either ``steps``, or ``map`` with what stands around it.

    ``parameters`` hold their values: what composition and the command line gave.
    """

    name: str
    mode: Literal["sequential", "mapreduce"]
    description: str | None = None
    version: str | None = None
    author: str | None = None
    tags: tuple[str, ...] = ()
    steps: StepList | None = None
    setup: StepList | None = None
    map: MapPhase | None = None
    reduce: StepList | None = None
    merge: StepList | None = None
    on_failure: tuple[Step, ...] = ()
    on_success: tuple[Step, ...] = ()
    verify: tuple[Step, ...] = ()
    parameters: dict[str, Any] = {}
    environment: Environment = Environment()
    profiles: tuple[Profile, ...] = ()
    active_profile: str | None = None
    inherit: bool = True
    timeout: Seconds = None
    grace: float = 5.0
    on_conflict: OnConflict | None = None
    claude: ClaudeOptions = ClaudeOptions()
    """What Claude steps have where they say nothing themselves."""
    idle_timeout: Seconds = 1_800.0
    """Seconds that Claude may be silent, likewise."""
    worktree: WorktreeFiles = WorktreeFiles()
    budget: Budget | None = None
    merge_timeout: float | None = 600.0
    """Seconds that the final merge may take, where no ``merge`` steps say how long."""
    max_concurrent_starts: int = 4
    max_capture: int = 10 * 1024 * 1024
    mark: Mark = Mark()
