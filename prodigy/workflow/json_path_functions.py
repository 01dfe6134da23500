"""``search`` and ``match`` of JSONPath, with the limits that all patterns of users have.

Pure. Imported only when a path needs the library.
"""

from jsonpath.function_extensions import ExpressionType, FilterFunction

from prodigy.workflow.patterns import BadPattern, matches_pattern


class PatternFunction(FilterFunction):
    """Whether a pattern is found in a text; false for a pattern that is none, and for what is no text.

    Args:
        whole: whether it must match the whole text.
    """

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - the library's own form
    return_type = ExpressionType.LOGICAL

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole

    def __call__(self, value: object, pattern: object) -> bool:
        """Search; raises ``PatternTimeout``."""
        if not isinstance(value, str) or not isinstance(pattern, str):
            return False
        try:
            return matches_pattern(pattern, value, whole=self._whole)
        except BadPattern:
            return False


FUNCTIONS = {"search": PatternFunction(whole=False), "match": PatternFunction(whole=True)}
