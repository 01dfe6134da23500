"""Configuration: files of the user and of the project, and the environment, as typed values that know where they stand."""
