"""``sort_by``, wherever items are put in order.

Pure.
"""

from prodigy.workflow.expression_text import BadExpression
from prodigy.workflow.fields import Field, Reader
from prodigy.workflow.nodes import Mapping
from prodigy.workflow.problems import quoted


def read_sort(reader: Reader, entry: Field | None) -> str:
    """Sort keys, in one text with commas or in a list, as one text; empty if there are none."""
    from prodigy.workflow.ordering import parse_sort

    keys: list[str] = []
    for element in reader.each(entry):
        if isinstance(element.value, Mapping):
            reader.wrong_type(
                element.value, quoted(element.key.text), "text", "write `path ASC` or `path DESC`"
            )
            continue
        text = reader.filled(element)
        if text is None:
            continue
        try:
            parse_sort(text)
        except BadExpression as error:
            reader.bad_expression(element, text, error)
        keys.append(text.strip())
    return ", ".join(keys)
