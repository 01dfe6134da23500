"""Rehearsals: a backend that plays a script instead of asking a model, so that a workflow can be tried for nothing."""
