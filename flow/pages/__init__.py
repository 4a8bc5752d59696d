# SPDX-License-Identifier: Apache-2.0
"""Numbers in the pages: what was measured is kept in docs/*.json, and written into the pages."""
