"""The local runtime's bundle: built from pinned files, and loud where a text or a file is not as expected."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import capnp
import pytest

from scripts.runtime import bundle

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "node_modules" / "pyodide"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name in (*bundle.CHECKSUMS, "package.json"):
        shutil.copyfile(PACKAGE / name, tmp_path / name)
    return tmp_path


def test_the_bundle_holds_the_three_modules_that_workerd_asks_for(tmp_path: Path) -> None:
    path = bundle.write_bundle(tmp_path / "runtime", PACKAGE)
    schema = capnp.load(str(bundle.SCHEMA))
    with schema.Bundle.from_bytes(path.read_bytes(), traversal_limit_in_words=1 << 30) as message:
        found = {module.name: (module.which(), str(module.type)) for module in message.modules}
    assert found == {
        "pyodideRuntime-internal:pyodide.asm": ("src", "internal"),
        "pyodideRuntime-internal:pyodide.asm.wasm": ("wasm", "internal"),
        "pyodideRuntime-internal:python_stdlib.zip": ("data", "internal"),
    }


def test_the_same_inputs_are_not_built_again(tmp_path: Path) -> None:
    path = bundle.write_bundle(tmp_path, PACKAGE)
    built = path.stat().st_mtime_ns
    assert bundle.write_bundle(tmp_path, PACKAGE).stat().st_mtime_ns == built


@pytest.mark.parametrize("replacement", bundle.REPLACEMENTS, ids=lambda replacement: replacement.old[:30])
def test_a_text_that_is_not_found_as_often_as_stated_fails_loudly(replacement: bundle.Replacement) -> None:
    text = (PACKAGE / "pyodide.asm.mjs").read_text(encoding="utf-8").replace(replacement.old, "", 1)
    with pytest.raises(bundle.BundleError, match=f"expected {replacement.count} of .* found {replacement.count - 1}"):
        bundle.patch_glue(text)


def test_a_file_that_differs_from_its_checksum_fails_loudly(package: Path) -> None:
    with (package / "python_stdlib.zip").open("ab") as file:
        file.write(b"x")
    with pytest.raises(bundle.BundleError, match=r"python_stdlib\.zip: SHA-256 is \w+, expected 80c5be6b"):
        bundle.build_bundle(package)


def test_a_missing_file_names_the_remedy(package: Path) -> None:
    (package / "pyodide.asm.wasm").unlink()
    with pytest.raises(bundle.BundleError, match=r"pyodide\.asm\.wasm is missing: run npm ci"):
        bundle.build_bundle(package)


def test_the_pinned_version_is_the_one_of_the_lock() -> None:
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]["node_modules/pyodide"]["version"]
    assert locked == bundle.PYODIDE_VERSION
