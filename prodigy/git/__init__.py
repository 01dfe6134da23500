"""Git, by its own command line and by libgit2; the only floor that runs it."""
