"""Build the local Python runtime of workerd from the npm package `pyodide`, without a download.

workerd fetches its Pyodide bundle from the network when it first starts a Python Worker. Started with
`--pyodide-bundle-disk-cache-dir` it takes the file `pyodide_dev.capnp.bin` from that folder instead. This script
writes that file: three internal modules (the Emscripten glue, the interpreter, the standard library) in one
Cap'n Proto message. The glue must ask workerd, not the browser, for what a Worker may not do by itself, so a few of
its texts are replaced; each replacement states how often its text occurs and fails when that is not so.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import capnp

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Path(__file__).with_name("bundle.capnp")
BUNDLE_NAME = "pyodide_dev.capnp.bin"

PYODIDE_VERSION = "314.0.6"
CHECKSUMS = {
    "pyodide.asm.mjs": "2ac5eba365ec12839c75c03b39b3be1dd63b798852cc460b014b52238be042f7",
    "pyodide.asm.wasm": "3a0a00dfeaa348ac20f9ef09904233d32d33f644339662d4af368f8a2010f37a",
    "python_stdlib.zip": "80c5be6babfe03297069703410c3c29404dcf2525d2b128746bae5536f94831f",
}

PRELUDE = (
    "import { addEventListener, getRandomValues, location, monotonicDateNow, newWasmModule, patchedLoadLibData, "
    'wasmInstantiate } from "pyodide-internal:builtin_wrappers";\n'
)


class BundleError(Exception):
    """The runtime cannot be built; the message says which text or file is not as expected, and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """One text of the glue code, how often it must occur, and what takes its place."""

    old: str
    new: str
    count: int


REPLACEMENTS = (
    Replacement(old="async function _createPyodideModule(", new="export async function _createPyodideModule(", count=1),
    Replacement(old="export default _createPyodideModule;", new="", count=1),
    Replacement(old="new WebAssembly.Module(", new="newWasmModule(", count=4),
    Replacement(old="await WebAssembly.instantiate(binary,info)", new="await wasmInstantiate(binary,info)", count=1),
    Replacement(
        old="await WebAssembly.instantiate(binary,imports)", new="await wasmInstantiate(binary,imports)", count=1
    ),
    Replacement(old="Date.now", new="monotonicDateNow", count=22),
    Replacement(old="crypto.getRandomValues(view)", new="getRandomValues(Module,view)", count=1),
    # Library loading: workerd compiles shared objects when the Worker starts and hands out the compiled module.
    Replacement(
        old="function loadLibData(){if(handle){",
        new="function loadLibData(){var patchedLib=patchedLoadLibData(Module,libName,flags.rpath);"
        "return flags.loadAsync?Promise.resolve(patchedLib):patchedLib;if(handle){",
        count=1,
    ),
    Replacement(
        old="getMemory(metadata.memorySize", new="Module.getMemoryPatched(Module,libName,metadata.memorySize", count=1
    ),
)


def patch_glue(text: str) -> str:
    """Return the glue code with every replacement made.

    Raises BundleError when a text does not occur exactly as often as its replacement states.
    """
    for replacement in REPLACEMENTS:
        found = text.count(replacement.old)
        if found != replacement.count:
            raise BundleError(
                f"scripts/runtime/bundle.py: expected {replacement.count} of {replacement.old!r} in pyodide.asm.mjs, "
                f"found {found}: the npm package pyodide is not version {PYODIDE_VERSION}; run npm ci, or revise "
                f"REPLACEMENTS for the new version"
            )
        text = text.replace(replacement.old, replacement.new)
    return PRELUDE + text


def read_package(package: Path) -> Mapping[str, bytes]:
    """Read the runtime's files from an unpacked npm package, checked against their SHA-256.

    Raises BundleError when a file is missing or differs from its checksum.
    """
    contents = {}
    for name, expected in CHECKSUMS.items():
        path = package / name
        if not path.is_file():
            raise BundleError(f"{path} is missing: run npm ci in {ROOT}")
        content = path.read_bytes()
        actual = hashlib.sha256(content).hexdigest()
        if actual != expected:
            version = json.loads((package / "package.json").read_text()).get("version", "unknown")
            raise BundleError(
                f"{path}: SHA-256 is {actual}, expected {expected} (pyodide {PYODIDE_VERSION}; this package says "
                f"{version}): run npm ci, or revise CHECKSUMS for the new version"
            )
        contents[name] = content
    return contents


def build_bundle(package: Path) -> bytes:
    """Return the bundle as workerd reads it, built from the npm package in the folder `package`."""
    contents = read_package(package)
    glue = patch_glue(contents["pyodide.asm.mjs"].decode("utf-8")).encode("utf-8")
    schema = capnp.load(str(SCHEMA))
    message = schema.Bundle.new_message()
    modules = message.init("modules", 3)
    for module, name, kind, content in (
        (modules[0], "pyodide.asm", "src", glue),
        (modules[1], "pyodide.asm.wasm", "wasm", contents["pyodide.asm.wasm"]),
        (modules[2], "python_stdlib.zip", "data", contents["python_stdlib.zip"]),
    ):
        module.name = f"pyodideRuntime-internal:{name}"
        setattr(module, kind, content)
        module.type = "internal"
    return bytes(message.to_bytes())


def write_bundle(folder: Path, package: Path) -> Path:
    """Write the bundle into `folder` unless the one there was built from the same inputs; return its path."""
    inputs = hashlib.sha256(
        SCHEMA.read_bytes() + Path(__file__).read_bytes() + "".join(CHECKSUMS.values()).encode()
    ).hexdigest()
    path, stamp = folder / BUNDLE_NAME, folder / "inputs.sha256"
    if path.is_file() and stamp.is_file() and stamp.read_text() == inputs:
        return path
    content = build_bundle(package)
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(content)
    partial.replace(path)
    stamp.write_text(inputs)
    return path


if __name__ == "__main__":
    try:
        write_bundle(ROOT / "build" / "runtime", ROOT / "node_modules" / "pyodide")
    except BundleError as error:
        sys.exit(f"error: {error}")
