# SPDX-License-Identifier: Apache-2.0
"""One simulation: run, report, shrink a failure; conformance vectors."""
