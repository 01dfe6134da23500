"""Supervised actors on trio, worker processes, and process trees that really die."""
