"""The lock files of the estimators' environments: complete, in use, and refused where a package is another one."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers.processes.estimator_scripts import POSE, run_estimator, uv
from helpers.processes.pipeline_runs import ROOT

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11, which reads TOML")
SCRIPTS = ("mediapipe_openpose.py", "rtmw_openpose.py", "rtmw_openpose_cuda.py")


def lock_of(script: str) -> dict:
    return tomllib.loads((POSE / f"{script}.lock").read_text())


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_file_of_every_package_has_a_hash(script: str) -> None:
    packages = lock_of(script)["package"]
    files = [file for package in packages for file in [*package.get("wheels", []), package.get("sdist")] if file]
    assert len(packages) > 10
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"]) for file in files)
    assert all(package.get("wheels") or package.get("sdist") for package in packages)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_lock_is_of_the_scripts_own_pins(script: str) -> None:
    block = re.search(r"^# /// script\n(.*?)^# ///$", (POSE / script).read_text(), re.M | re.S)[1]
    metadata = tomllib.loads(re.sub(r"^# ?", "", block, flags=re.M))
    lock = lock_of(script)
    locked = {f"{item['name']}{item['specifier']}" for item in lock["manifest"]["requirements"]}
    assert {re.sub(r"\[.*\]", "", pin) for pin in metadata["dependencies"]} == locked
    versions = {package["name"]: package["version"] for package in lock["package"]}
    assert all(versions[pin.split("==")[0]] == pin.split("==")[1] for pin in locked)


@pytest.mark.parametrize("script", SCRIPTS[:2])
def test_what_is_in_the_cache_needs_no_network(script: str) -> None:
    done = run_estimator(script, "--version")
    assert done.returncode == 0, done.stderr
    offline = uv("run", "--no-project", "--frozen", "--offline", "--script", str(POSE / script), "--version")
    assert (offline.returncode, offline.stdout) == (0, done.stdout)


def test_a_package_with_another_hash_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "rtmw_openpose.py"  # an environment that is there already is not built again
    for name in (script.name, "openpose_script.py", "person.py"):
        shutil.copy(POSE / name, tmp_path)
    lock = (POSE / f"{script.name}.lock").read_text()
    changed = re.sub(r"(rtmlib-[\d.]+-py3-none-any\.whl\", hash = \"sha256:)....", r"\g<1>0000", lock)
    assert changed != lock
    (tmp_path / f"{script.name}.lock").write_text(changed)
    done = uv("run", "--no-project", "--frozen", "--script", str(script), "--version")
    assert done.returncode
    assert "Hash mismatch for `rtmlib" in done.stderr


def test_the_wheel_holds_the_locks(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"pipeline/pose/scripts/{script}{end}" for script in SCRIPTS for end in ("", ".lock")} <= set(names)
