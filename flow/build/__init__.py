# SPDX-License-Identifier: Apache-2.0
"""A unit made ready to run: built for a simulator, pin by pin or in bulk."""
