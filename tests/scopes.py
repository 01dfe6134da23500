"""Variables of tests."""

from typing import Any

from prodigy.workflow.scope import ComputedKind, Path, resolve


class Variables:
    """A scope of plain values."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def lookup(self, path: Path) -> Any:
        return resolve(self.values, path)

    def knows(self, root: str) -> bool:
        return root in self.values

    def names(self) -> list[str]:
        return list(self.values)

    def secret(self, path: Path) -> None:
        return None

    def computed(self, kind: ComputedKind, argument: str) -> Any:
        return f"{kind}({argument})"
