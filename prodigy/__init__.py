"""Prodigy: reproducible pipelines of Claude Code and shell steps.

Floors, lowest first; a floor imports only floors below it (guarded by ``tests/test_floors.py``):

0. ``errors ids events paths``: words
1. ``workflow``: text to a checked workflow, pure
2. ``job``: what happens next, pure
3. ``git`` and ``store``: effects on repositories and on disk
4. ``steps``: running one step, wherever it stands
5. ``actors``: the supervision tree
6. ``cli``: one file per verb; the only place that prints
"""

__version__ = "0.1.0"
