# SPDX-License-Identifier: Apache-2.0
"""Checks of a run, whoever drives it: contract, comparison, clocks, coverage, records."""
