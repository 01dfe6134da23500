"""Reading files of ``NAME=value`` lines, in the syntax of python-dotenv: ``export``, quotes, values over several lines.

Values stay as they are written: nothing in them is a reference.
"""

import io
from pathlib import Path

from prodigy.errors import MachineError


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file; a name without ``=`` is not set.

    Raises:
        FileNotFoundError: there is no such file.
        MachineError: ``env-file-invalid``: it cannot be read, or a line is no assignment.
    """
    from dotenv.parser import parse_stream

    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(
            "env-file-invalid", f"The env file cannot be read: {error}", where=str(path)
        ) from None
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.value is not None and "\0" in binding.value):
            source = binding.original.string
            blank = source[: len(source) - len(source.lstrip())].count("\n")
            where = f"{path}:{binding.original.line + blank}"
            message = "This line is no `NAME=value`" if binding.error else "A value contains a NUL character"
            raise MachineError("env-file-invalid", message, where=where)
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values
