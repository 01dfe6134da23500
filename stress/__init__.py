"""What is too long or too violent for the tests; each check prints figures and has an exit code."""
