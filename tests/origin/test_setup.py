"""The set-up mends an environment that was only half made, and leaves none behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "scripts" / "setup"
# A Python that makes environments, of which each has a pip or not, and whose pip can install nothing.
PYTHON = f"""#!/bin/sh
case "$*" in
  *venv*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && {{made}} ;;
  "-m pip --version") [ -e "$(dirname "$0")/pip" ] ;;
  "-m pip"*) exit 7 ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("scripts/setup", "scripts/uv.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(SETUP.parents[1] / name, tmp_path / name)
    return tmp_path


def set_up(project: Path, made: str) -> subprocess.CompletedProcess[str]:
    """Run the set-up with a Python whose making of an environment ends with the command `made`."""
    python = project / "path" / "python3"
    python.parent.mkdir(exist_ok=True)
    python.write_text(PYTHON.replace("{made}", made))
    python.chmod(0o755)
    path = f"{python.parent}{os.pathsep}{os.defpath}"
    return subprocess.run(
        [project / "scripts" / "setup"], env={"PATH": path}, capture_output=True, text=True, check=False
    )


def test_an_environment_without_pip_is_made_anew(project: Path) -> None:
    done = set_up(project, "true")
    (project / ".venv" / "stamps" / "old").touch()
    assert done.returncode == 7
    done = set_up(project, "touch .venv/bin/pip")
    assert "the .venv has no pip: making it anew" in done.stderr
    assert done.returncode == 7  # it came as far as installing
    assert (project / ".venv" / "bin" / "pip").exists()
    assert not (project / ".venv" / "stamps" / "old").exists()
    assert "making it anew" not in set_up(project, "false").stderr


def test_an_environment_that_cannot_be_made_leaves_nothing_behind(project: Path) -> None:
    done = set_up(project, "false")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "error: python cannot create a virtual environment: install its venv"
    )
    assert not (project / ".venv").exists()
