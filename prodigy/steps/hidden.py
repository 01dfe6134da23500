"""The secrets of one agent: those it was given, and those it finds on its way."""

from collections.abc import Mapping

from prodigy.steps.masking import Masker


class Hidden:
    """Knows what must not be written down.

    Args:
        secrets: values by name.

    Attributes:
        masker: hides everything that is known by now; ask for it anew each time.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.masker = Masker(secrets)

    def learn(self, secrets: Mapping[str, str]) -> None:
        """Hide further values from now on."""
        if secrets:
            self.masker = self.masker.also(secrets)
