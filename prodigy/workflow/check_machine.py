"""What a workflow needs of the machine it runs on and does not find: variables, env files, secrets.

Pure: the caller hands in the process's environment and says which files there are. What is missing is a warning, because
the workflow may be meant for another machine; a run finds the same before it starts, and refuses. Only a profile that
the workflow does not have is an error.
"""

from collections.abc import Callable, Iterator, Mapping

from prodigy.errors import WorkflowError
from prodigy.workflow.layers import active_profile, environments, step_names
from prodigy.workflow.locate import Places, point
from prodigy.workflow.model import EnvFile, EnvValue, EnvVar, Workflow
from prodigy.workflow.problems import Problems, quoted
from prodigy.workflow.refs import Ref, compile_text
from prodigy.workflow.variables import variable as variable_of


def check_machine(
    workflow: Workflow,
    texts: Mapping[str, str],
    problems: Problems,
    *,
    environ: Mapping[str, str],
    is_file: Callable[[str], bool],
) -> None:
    """Record what is missing.

    Args:
        workflow: the workflow.
        texts: its files by name, for pointing at places.
        problems: takes ``unset-environment``, ``secret-missing``, ``env-file-missing`` and ``profile-unknown``.
        environ: the environment that a run would inherit; ``PRODIGY_PROFILE`` in it chooses the profile.
        is_file: whether a path, as the workflow writes it, names a file.
    """
    places = Places(texts)
    asked = environ.get("PRODIGY_PROFILE") or None
    try:
        profile = active_profile(workflow, asked)
    except WorkflowError as error:
        at = places.value(workflow.mark, asked or workflow.active_profile or "", "active_profile")
        problems.error("profile-unknown", error.message, at, *filter(None, (error.hint,)))
        profile = None
    _Checker(workflow, places, problems, environ, is_file).check(profile)


class _Checker:
    def __init__(
        self,
        workflow: Workflow,
        places: Places,
        problems: Problems,
        environ: Mapping[str, str],
        is_file: Callable[[str], bool],
    ) -> None:
        self.layers = tuple(environments(workflow))
        self.places = places
        self.problems = problems
        self.environ = environ
        self.is_file = is_file
        self.in_files = any(is_file(file.path) for layer in self.layers for file in layer.files)
        declared = (variable for layer in self.layers for variable in (*layer.variables, *layer.secrets))
        self.declared = {variable.name for variable in declared}
        self.given = step_names(workflow) | workflow.parameters.keys()

    def check(self, profile: str | None) -> None:
        for layer in self.layers:
            for file in layer.files:
                self._file(file)
            for variable in (*layer.variables, *layer.secrets):
                for value in _values(variable, profile):
                    self._value(variable, value)

    def _file(self, file: EnvFile) -> None:
        if (file.required or not file.explicit) and not self.is_file(file.path):
            message = f"there is no env file {quoted(file.path)}"
            at = self.places.find(file.mark, file.path)
            self.problems.warning("env-file-missing", message, at)

    def _value(self, variable: EnvVar, value: EnvValue) -> None:
        if value.kind in {"env", "text"}:
            for name in self._needed(value):
                if not self._is_set(variable, name):
                    self._unset(variable, value, name)
        elif value.kind == "file" and not self.is_file(value.text):
            message = f"there is no file {quoted(value.text)}, which holds {quoted(variable.name)}"
            code = "secret-missing" if variable.secret else "env-file-missing"
            self.problems.warning(code, message, point(value.mark))

    def _needed(self, value: EnvValue) -> Iterator[str]:
        """The variables of the process that a value must have; names of ours are none."""
        if value.kind == "env":
            yield value.text
            return
        for reference in compile_text(value.text).refs():
            if isinstance(reference, Ref) and reference.default is None:
                of_env = reference.root == "env" and len(reference.path) > 1
                name = str(reference.path[1]) if of_env else reference.root
                if of_env or (name not in self.given and variable_of(name) is None):
                    yield name

    def _unset(self, variable: EnvVar, value: EnvValue, name: str) -> None:
        message = f"{quoted(name)} is not set in the environment, and {quoted(variable.name)} is made of it"
        code = "secret-missing" if variable.secret else "unset-environment"
        self.problems.warning(code, message, self.places.find(value.mark, name))

    def _is_set(self, variable: EnvVar, name: str) -> bool:
        """Whether a variable has a value; what env files may hold is given the benefit of the doubt."""
        elsewhere = name in self.declared and name != variable.name
        return bool(self.environ.get(name)) or elsewhere or self.in_files


def _values(variable: EnvVar, profile: str | None) -> Iterator[EnvValue]:
    """What counts under the profile."""
    value = variable.values.get(profile or "", variable.values.get(""))
    if value is not None:
        yield value
