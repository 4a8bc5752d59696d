# SPDX-License-Identifier: Apache-2.0
"""Regressions: the plan, its workers, results, test plans."""
