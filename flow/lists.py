# SPDX-License-Identifier: Apache-2.0
"""Files of Hjson, written by hand: plans, waivers, lists. An error names file and line."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import hjson

from .errors import UserError
from .paths import short


def read(path: Path, *needed: str) -> dict[str, Any]:
    """A file's object as plain dicts and lists, with the keys that it must have.

    Raises UserError, one sentence with the file's name.
    """
    name = short(path)
    try:
        found = json.loads(_as_json(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: byte {error.start} is no UTF-8") from None
    except hjson.HjsonDecodeError as error:
        raise UserError(f"{name}, line {error.lineno}: {error.msg}") from None
    except RecursionError:
        raise UserError(f"{name}: too many brackets inside each other") from None
    if not isinstance(found, dict):
        raise UserError(f"{name} must be an object with {', '.join(needed) or 'keys'}")
    for key in needed:
        if key not in found:
            raise UserError(f"{name} has no {key}")
    return found


@cache
def _as_json(text: str) -> str:
    """The same in JSON, which is read in a fiftieth of the time: some files are read often."""
    return json.dumps(hjson.loads(text, object_pairs_hook=dict))


def entries(path: Path, key: str) -> list[dict[str, Any]]:
    """The list of objects that a file has under `key`. Raises UserError."""
    found = read(path, key)[key]
    if not isinstance(found, list):
        raise UserError(f"{short(path)}: {key} must be a list")
    for number, one in enumerate(found):
        if not isinstance(one, dict):
            raise UserError(f"{short(path)}: entry {number} of {key} must be an object, is {one!r}")
    return found
