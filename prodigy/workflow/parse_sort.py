"""``sort_by``, wherever items are put in order.

Pure.
"""

from prodigy.workflow.expression_text import BadExpression
from prodigy.workflow.fields import Field, Reader


def read_sort(reader: Reader, entry: Field | None) -> str:
    """Sort keys, in one text with commas or in a list, as one text; empty if there are none."""
    from prodigy.workflow.ordering import parse_sort

    keys: list[str] = []
    for element in reader.each(entry):
        text = reader.filled(element)
        if text is None:
            continue
        try:
            parse_sort(text)
        except BadExpression as error:
            reader.bad_expression(element, text, error)
        keys.append(text.strip())
    return ", ".join(keys)
