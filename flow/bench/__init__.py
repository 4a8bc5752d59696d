# SPDX-License-Identifier: Apache-2.0
"""Speed of models, bench, bulk engine and regression, each against a plain alternative."""
