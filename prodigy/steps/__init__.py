"""Running steps, wherever they stand."""
