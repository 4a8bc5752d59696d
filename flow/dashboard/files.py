# SPDX-License-Identifier: Apache-2.0
"""The report's folder: every page by its name, and all files that go with them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ..errors import UserError
from ..regress.folder import RegressionFolder
from .coverage import coverage_page
from .documents import accuracy, mutation, plots, ppa, proofs
from .failures import failures
from .history import history_page
from .junit import JUNIT, junit
from .kept import FOLDER, STEMS, Case
from .overview import index
from .plans import plan_page
from .runs import runs

TEMPLATES = Path(__file__).parent / "templates"


def pages(regression: RegressionFolder) -> dict[str, str]:
    """Every page by its name."""
    made = {
        "index.html": index(regression),
        "runs.html": runs(regression),
        "failures.html": failures(regression),
        "history.html": history_page(regression),
        "accuracy.html": accuracy(regression),
        "ppa.html": ppa(regression),
        "mutation.html": mutation(regression),
        "proofs.html": proofs(regression),
    }
    for unit in regression.units:
        made[f"plan_{unit}.html"] = plan_page(regression, unit)
        made[f"coverage_{unit}.html"] = coverage_page(regression, unit)
    return made


def write(regression: RegressionFolder, folder: Path) -> list[Path]:
    """Write the report into `folder`; return its files. Raises UserError if it cannot be written.

    Pages and copies of a report that was there before and that this one lacks are removed, nothing
    else is.
    """
    texts = {**pages(regression), JUNIT: junit(regression)}
    copies = {source.name: source for source in (*TEMPLATES.iterdir(), *plots())}
    for number, bucket in enumerate(regression.buckets(), 1):
        copies |= {left.copy: left.source for left in Case(number, bucket).left if left.is_copied}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in _of_before(folder):
            old.unlink()
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name, source in copies.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
        for empty in (*folder.glob(f"{FOLDER}/b*"), folder / FOLDER):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()
    except OSError as error:
        raise UserError(f"cannot write {error.filename or folder}: {error.strerror}") from None
    return [folder / name for name in (*texts, *copies)]


def _of_before(folder: Path) -> list[Path]:
    """Files of an earlier report whose names depend on the regression."""
    copied = (
        path
        for path in folder.glob(f"{FOLDER}/b*/*")
        if re.fullmatch(r"b\d+", path.parent.name) and path.stem in STEMS
    )
    return [*folder.glob("plan_*.html"), *folder.glob("coverage_*.html"), *copied]
