"""The environment of a run, worked out before anything is made: files are read, commands run, secrets found.

Everything that can be wrong with it is wrong here: an unknown profile, a missing secret or file, a circle, a command
that fails. Values of secrets stay in memory.
"""

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, structs

from prodigy.actors.answering import Answerer
from prodigy.errors import MachineError, WorkflowError
from prodigy.events import Phase
from prodigy.steps.masking import Masker
from prodigy.steps.secret_forms import SHORTEST, is_too_short
from prodigy.store.env_files import read_env_file
from prodigy.workflow.environment import Answers, Resolved, resolve
from prodigy.workflow.environment_scope import Plain
from prodigy.workflow.layers import (
    active_profile,
    essential,
    profile_layers,
    step_environments,
    step_names,
)
from prodigy.workflow.model import EnvFile, Environment, EnvValue, EnvVar, Workflow
from prodigy.workflow.variables import variable

MOST: Final = 256 * 1024
"""Bytes that a workflow's own variables may add to every command's environment."""


class Layer(Struct, frozen=True, kw_only=True):
    """Variables that a workflow declares, with their values; which are secrets; and what is known only later."""

    values: dict[str, str] = {}
    secrets: frozenset[str] = frozenset()
    later: tuple[EnvVar, ...] = ()
    """Variables that are worked out anew for each step."""


class ClaudeVariables(Struct, frozen=True):
    """What only Claude gets, over what it inherits and under what the workflow declares; and which of it are secrets."""

    values: Mapping[str, str] = {}
    secrets: frozenset[str] = frozenset()


NO_CLAUDE_VARIABLES: Final = ClaudeVariables()


class Prepared(Struct, frozen=True, kw_only=True):
    """The environment of a run.

    ``inherited`` is what the caller's environment gives, the whole or the base set; ``run`` what the workflow declares
    for every phase, ``phases`` what a phase adds to that.
    """

    inherited: Mapping[str, str] = {}
    run: Layer = Layer()
    phases: Mapping[Phase, Layer] = {}
    claude: ClaudeVariables = ClaudeVariables()
    profile: str | None = None
    masker: Masker = Masker({})
    computed: Mapping[str, str] = {}
    """What commands printed that run once per run, secrets aside: to be handed to ``prepare`` when the run goes on."""
    warnings: tuple[str, ...] = ()

    def values(self, phase: Phase) -> dict[str, str]:
        """What a phase adds to the environment of the run."""
        return self._of(phase).values

    def declared(self, phase: Phase) -> tuple[str, ...]:
        """Names of all variables that texts of a phase may use as ``${NAME}``."""
        own = self._of(phase)
        later = (variable.name for variable in self.later(phase))
        return tuple(dict.fromkeys([*self.run.values, *own.values, *later]))

    def secrets(self, phase: Phase) -> tuple[str, ...]:
        """Names of the variables of a phase that hold secrets, those of Claude among them."""
        hidden = self.claude.secrets & self.for_claude(phase).keys()
        return tuple(sorted(self.run.secrets | self._of(phase).secrets | hidden))

    @property
    def seen_by_claude(self) -> dict[str, str]:
        """What Claude inherits in every phase."""
        own = {name: value for name, value in self.claude.values.items() if name not in self.run.values}
        return {**self.inherited, **own, **self.run.values}

    def for_claude(self, phase: Phase) -> dict[str, str]:
        """What Claude steps of a phase get besides, where the workflow does not declare it itself."""
        declared = frozenset(self.declared(phase))
        return {name: value for name, value in self.claude.values.items() if name not in declared}

    def later(self, phase: Phase) -> tuple[EnvVar, ...]:
        """Variables that each step of a phase works out anew, lowest first."""
        own = self._of(phase)
        kept = (variable for variable in self.run.later if variable.name not in own.values)
        return (*kept, *own.later)

    def _of(self, phase: Phase) -> Layer:
        return self.phases.get(phase, Layer())


async def prepare(
    workflow: Workflow,
    *,
    repository: Path,
    inherited: Mapping[str, str],
    profile: str | None = None,
    roots: Mapping[str, Any] | None = None,
    computed: Mapping[str, str] | None = None,
    claude: ClaudeVariables = NO_CLAUDE_VARIABLES,
) -> Prepared:
    """Work out the environment of a run.

    Args:
        workflow: what declares it.
        repository: the user's checkout; env files and commands are relative to it.
        inherited: the caller's whole environment.
        profile: the one that was asked for, if any.
        roots: variables besides the environment that values may use: parameters, ``branch``.
        computed: of an earlier preparation of the same run; these commands are not run again.
        claude: what only Claude gets.

    Raises:
        WorkflowError: ``profile-unknown``, ``env-cycle``, ``secret-missing``, ``undefined-variable``, ``bad-value``.
        MachineError: ``env-file-missing``, ``env-file-invalid``, ``env-command-failed``.
    """
    name = active_profile(workflow, profile)
    kept = dict(inherited) if workflow.inherit else essential(inherited)
    async with AsyncExitStack() as stack:
        answerer = Answerer(repository, stack, computed or {})
        preparing = _Preparing(workflow, repository, inherited, name, Plain(roots or {}), answerer)
        preparing.hide({name: claude.values[name] for name in sorted(claude.secrets)})
        return structs.replace(await preparing.run(kept), claude=claude)


class _Preparing:
    """One preparation."""

    def __init__(
        self,
        workflow: Workflow,
        repository: Path,
        process: Mapping[str, str],
        profile: str | None,
        scope: Plain,
        answerer: Answerer,
    ) -> None:
        self.workflow = workflow
        self.repository = repository
        self.process = process
        self.profile = profile
        self.scope = scope
        self.answerer = answerer
        self.warnings: list[str] = []
        names = step_names(workflow)
        self.later = lambda name: name in names or variable(name) is not None
        self.secrets: dict[str, str] = {}
        self.masker = Masker({})

    async def run(self, inherited: Mapping[str, str]) -> Prepared:
        own, *above = profile_layers(self.workflow, self.profile)
        files = self._files(own)
        layers = (own, *(layer for upper in above for layer in (_literals(self._files(upper)), upper)))
        found = await self._resolved(layers, {**inherited, **files})
        whole = Layer(values={**files, **found.values}, secrets=found.secrets, later=found.later)
        phases: dict[Phase, Layer] = {}
        for phase, layer in _phase_environments(self.workflow):
            phases[phase] = await self._over(whole, layer, inherited)
        for layer in step_environments(self.workflow):
            await self._resolved((layer,), {**inherited, **whole.values}, only_secrets=True)
        for added in (Layer(), *phases.values()):
            _check_size({**whole.values, **added.values})
        return Prepared(
            inherited=inherited,
            run=whole,
            phases=phases,
            profile=self.profile,
            masker=self.masker,
            computed=self.answerer.computed,
            warnings=tuple(self.warnings),
        )

    async def _over(self, whole: Layer, own: Environment, inherited: Mapping[str, str]) -> Layer:
        """A phase's layer; secrets of the workflow lie above it."""
        found = await self._resolved((own,), {**inherited, **whole.values})
        values = {name: value for name, value in found.values.items() if name not in whole.secrets}
        return Layer(values=values, secrets=found.secrets & values.keys(), later=found.later)

    async def _resolved(
        self, layers: tuple[Environment, ...], base: Mapping[str, str], *, only_secrets: bool = False
    ) -> Resolved:
        """The values of some layers; their secrets are hidden from here on."""
        answers = resolve(
            layers,
            base,
            self.scope,
            profile=self.profile,
            process=self.process,
            later=self.later,
            only_secrets=only_secrets,
        )
        found = await self._answered(answers, base)
        self.hide({name: found.values[name] for name in sorted(found.secrets)})
        return found

    def hide(self, secrets: Mapping[str, str]) -> None:
        """Let nothing that is written from here on hold these values.

        Raises:
            WorkflowError: ``bad-value``: one is too short.
        """
        for name, value in secrets.items():
            if is_too_short(value):
                message = f"The secret `{name}` has fewer than {SHORTEST} characters, too few to be hidden"
                raise WorkflowError("bad-value", message)
        self.masker = self.masker.also(secrets)

    async def _answered(self, answers: Answers, base: Mapping[str, str]) -> Resolved:
        try:
            request = next(answers)
            while True:
                request = answers.send(await self.answerer.answer(request, base))
        except StopIteration as ended:
            found: Resolved = ended.value
            return found

    # -- files ---------------------------------------------------------------------------------------------------------
    def _files(self, layer: Environment) -> dict[str, str]:
        """Variables of a layer's env files, later files over earlier ones."""
        values: dict[str, str] = {}
        for file in layer.files:
            values |= self._file(file)
        return values

    def _file(self, file: EnvFile) -> dict[str, str]:
        path = self.repository / Path(file.path).expanduser()
        try:
            return read_env_file(path)
        except FileNotFoundError:
            pass
        if file.required:
            message = f"There is no env file `{file.path}`"
            raise MachineError("env-file-missing", message, where=str(file.mark), note=f"looked for {path}")
        if not file.explicit:
            self.warnings.append(f"{file.mark}: there is no env file `{file.path}`")
        return {}


def _literals(values: Mapping[str, str]) -> Environment:
    """Values as a layer of their own."""
    return Environment(
        variables=tuple(
            EnvVar(name=name, values={"": EnvValue(kind="literal", text=value)})
            for name, value in values.items()
        )
    )


def _phase_environments(workflow: Workflow) -> Iterator[tuple[Phase, Environment]]:
    phases: tuple[Phase, ...] = ("setup", "steps", "map", "reduce", "merge")
    for phase in phases:
        body = getattr(workflow, phase)
        if body is not None and body.environment != Environment():
            yield phase, body.environment


def _check_size(values: Mapping[str, str]) -> None:
    sizes = {name: len(_bytes(name)) + len(_bytes(value)) + 2 for name, value in values.items()}
    whole = sum(sizes.values())
    if whole > MOST:
        largest = max(sizes, key=lambda name: sizes[name])
        message = f"The workflow's variables need {whole // 1024} KiB, more than {MOST // 1024} KiB"
        raise WorkflowError("bad-value", message, hint=f"the largest is `{largest}`; put it into a file")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
