"""Regressions: the plan, its workers, results, test plans."""
