# SPDX-License-Identifier: Apache-2.0
"""What needs no simulation: lint, generic synthesis, generated files, the site."""
