"""What is deployed: wrangler's dry run passes and uploads the Worker, the core and the SDK, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.e2e.world import ROOT


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], str]:
    folder = tmp_path_factory.mktemp("upload")
    done = subprocess.run(
        [str(ROOT / "node_modules" / ".bin" / "wrangler"), "deploy", "--dry-run", "--outdir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}", "WRANGLER_SEND_METRICS": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}, done.stdout


def test_the_upload_is_the_worker_the_core_and_the_sdk_and_nothing_else(upload: tuple[set[str], str]) -> None:
    files, _ = upload
    sources = [path for room in ("worker", "shared") for path in (ROOT / room).rglob("*.*")]
    own = {str(path.relative_to(ROOT)) for path in sources if path.name.endswith((".py", ".mjs", ".min.js"))}
    own = own - {"worker/entry.py"} | {"entry.py"}
    sdk = {f"python_modules/{path}" for path in files_below(ROOT / "python_modules")}
    assert files - {"README.md"} == own | sdk


def test_the_upload_is_small(upload: tuple[set[str], str]) -> None:
    _, output = upload
    found = re.search(r"Total Upload: ([\d.]+) KiB / gzip: ([\d.]+) KiB", output)
    assert found is not None
    assert float(found[2]) < 3 * 1024, "the free plan's limit is 3 MB compressed"


def test_the_configuration_uses_released_flags_only() -> None:
    config = tomllib.loads((ROOT / "wrangler.toml").read_text())
    assert "experimental" not in config["compatibility_flags"]
    assert not [flag for flag in config["compatibility_flags"] if "development" in flag]


def test_the_sdk_is_the_locked_one() -> None:
    [locked] = re.findall(r"^workers-runtime-sdk==(\S+)", (ROOT / "edge.lock").read_text(), re.MULTILINE)
    assert (ROOT / "python_modules" / f"workers_runtime_sdk-{locked}.dist-info").is_dir()


def test_no_lock_file_names_a_registry() -> None:
    locks = [ROOT / name for name in ("requirements.lock", "edge.lock", "scripts/uv.lock", "package-lock.json")]
    for lock in locks:
        text = lock.read_text()
        assert not re.search(r'"resolved"|index-url|https?://\S+\.(tgz|whl|tar\.gz)', text), lock.name


def files_below(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
