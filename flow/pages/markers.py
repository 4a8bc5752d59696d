# SPDX-License-Identifier: Apache-2.0
"""What in a page is written by a command: blocks of lines, and single numbers in a sentence.

    <!-- begin made: NAME -->          <!--=NAME-->12.06<!---->
    a table
    <!-- end made -->

Comments show nowhere but in the text of the page. A line must not begin with that of a number:
Markdown would take the whole line for HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import UserError

BLOCK = re.compile(r"(<!-- begin made: ([^>\n]+) -->\n)(.*?)(<!-- end made -->)", re.S)
INLINE = re.compile(r"(<!--=([^>\n]+)-->)([^<\n]*)(<!---->)")


def filled(text: str, block: Callable[[str], str], number: Callable[[str], str]) -> str:
    """A page with what is made in it. Raises UserError for a marker that stands wrong."""
    text = BLOCK.sub(lambda m: f"{m[1]}{block(m[2]).rstrip()}\n{m[4]}", text)
    text = INLINE.sub(lambda m: f"{m[1]}{number(m[2])}{m[4]}", text)
    left = re.search(r"<!-- (?:begin|end) made[^\n]*|<!--=[^\n]*|<!---->", without_made(text))
    if left or re.search(r"^ *<!--=", text, re.M):
        raise UserError(
            f"a marker without its other half, or first in its line: {left and left[0]}"
        )
    return text


def without_made(text: str) -> str:
    """A page without what is made in it, as many lines long."""

    def blank(match: re.Match) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    return INLINE.sub(blank, BLOCK.sub(blank, text))
