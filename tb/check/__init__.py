"""Checks of a run, whoever drives it: contract, comparison, clocks, coverage, records."""
