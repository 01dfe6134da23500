"""The files that a workflow names: imports, bases and templates, found on disk."""

import os
from pathlib import Path

from prodigy.workflow.compose import Document


class FileLibrary:
    """Finds files beside the one that names them, then in the repository.

    Args:
        main: the workflow file as the user named it, and where it is; ``None`` for standard input.
        directory: the caller's; names of other files are shown relative to it.
        repository: root of the repository acted on.
    """

    def __init__(self, main: tuple[str, Path] | None, directory: Path, repository: Path) -> None:
        self._directory = directory
        self._repository = repository
        self._paths = {} if main is None else {main[0]: main[1]}

    def find(self, reference: str, importer: str) -> Document | None:
        """The file that a path means in another file; raises ``OSError`` where it cannot be read."""
        origin = self._paths.get(importer)
        beside = self._directory if origin is None else origin.parent
        for folder in (beside, self._repository):
            path = (folder / Path(reference).expanduser()).resolve()
            if path.is_file():
                name = self._name(path)
                self._paths[name] = path
                return Document(name, path.read_bytes())
        return None

    def _name(self, path: Path) -> str:
        known = next((name for name, other in self._paths.items() if other.resolve() == path), None)
        if known is not None:
            return known
        shown = os.path.relpath(path, self._directory)
        return str(path) if shown.startswith("../../") else shown
