"""A regression as a folder of static HTML, and as JUnit XML: what `make report` writes.

The pages need no network, no server and no script: links are relative, the style lies beside them,
and what a failure left is copied. Nothing here runs a test or judges one; the pages show what the
regression's folder holds, and say "not run" where it holds nothing.
"""

from .files import pages, write
from .history import HISTORY, remember

__all__ = ["HISTORY", "pages", "remember", "write"]
