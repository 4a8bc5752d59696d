# SPDX-License-Identifier: Apache-2.0
"""A regression as a folder of static HTML, and as JUnit XML: what `make report` writes.

The pages need no network, no server and no script: links are relative, the style sheet
lies beside them, and files of failures are copied. Nothing here runs or judges a test: the pages
show the content of the regression's folder, and "not run" where there is none.
"""

from .files import pages, write
from .history import HISTORY, remember

__all__ = ["HISTORY", "pages", "remember", "write"]
