# SPDX-License-Identifier: Apache-2.0
"""A regression as JUnit XML, for what shows the results of a pipeline."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from ..regress.folder import RegressionFolder
from ..regress.plan import configuration, simulator
from .kept import rows_of
from .markup import plain

JUNIT = "junit.xml"


def junit(regression: RegressionFolder) -> str:
    """JUnit XML: a suite for each unit, a case for each run, one not run as skipped."""
    about = regression.metadata
    root = ElementTree.Element("testsuites", name=f"softnorm regression {regression.name}")
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for unit in regression.units:
        suite = ElementTree.SubElement(root, "testsuite", name=unit)
        properties = ElementTree.SubElement(suite, "properties")
        tools = {f"tool {name}": version for name, version in regression.tools.items()}
        kept = {name: about.get(name, "") for name in ("set", "seed", "commit", "sources")}
        for name, value in {**kept, **tools}.items():
            ElementTree.SubElement(properties, "property", name=name, value=plain(value))
        own = dict.fromkeys(counts, 0)
        seconds = 0.0
        for key, job in regression.jobs.items():
            if job.unit != unit:
                continue
            result = regression.results.get(key)
            where = configuration(vars(job))[1]
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=f"{unit}.{simulator(vars(job)).replace(', ', '-')}.{job.test}",
                name=f"{job.test} seed={job.seed} rows={job.rows} {where}",
                time=f"{result['seconds'] if result else 0:.3f}",
            )
            own["tests"] += 1
            if result is None:
                own["skipped"] += 1
                ElementTree.SubElement(case, "skipped", message="not run")
                continue
            seconds += result["seconds"]
            if not result["passed"]:
                own["failures"] += 1
                first = result["report"].partition("\n")[0] or "no report"
                failure = ElementTree.SubElement(case, "failure", message=plain(first))
                text = f"{result['report']}\nrerun: {result['rerun']}\n"
                if small := result.get("shrunk"):
                    left = rows_of(small["rows"], small["elements"])
                    text += f"shrunk to {left}: {small['rerun']}\n"
                if result.get("alone") is False:
                    text += "it does not fail when it is run again\n"
                failure.text = plain(text)
        for name, value in own.items():
            suite.set(name, str(value))
            counts[name] += value
        suite.set("time", f"{seconds:.3f}")
        suite.set("timestamp", re.sub(r"[+-]\d{4}$", "", about.get("started", "")))
    for name, value in counts.items():
        root.set(name, str(value))
    root.set("time", f"{regression.total('seconds'):.3f}")
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'
