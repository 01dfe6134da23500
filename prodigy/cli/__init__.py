"""Floor 6: what people type and read; the only place that prints.

``main`` is the door, ``app`` turns words into a verb and its answer into an exit code, ``verbs`` holds one file per
verb, ``printer`` writes every line.
"""
