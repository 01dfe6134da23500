"""The supervision tree of a run."""
