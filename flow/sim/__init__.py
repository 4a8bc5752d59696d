"""One simulation: run, report, shrink a failure; conformance vectors."""
