"""What lies on disk under Prodigy's home: journals, locks, projections."""
