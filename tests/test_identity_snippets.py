"""The lines that docs/identity.md gives to a site's server make signatures that the edge accepts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.identity import is_signed, sign_user
from shared.signing import read_keys

DOCS = (Path(__file__).resolve().parents[1] / "docs" / "identity.md").read_text(encoding="utf-8")
SECRET = "the-secret-of-the-site"
KEYS = read_keys(f"site:{SECRET}")
USERS = ["4711", "anna@example.com", "Ünal Çelik", "🙂", "a.b+c d"]
# Each language's program: the snippet, and a line that prints the signature of the first argument.
PROGRAMS = {
    "python": ([sys.executable, "-c"], '{}\nimport sys; print(usher_signature(sys.argv[1], "site", sys.argv[2]))'),
    "js": (
        [str(Path(sys.executable).parent / "node"), "-e"],
        '{}\nconsole.log(usherSignature(process.argv[1], "site", process.argv[2]))',
    ),
    "php": (["php", "-r"], '{}\necho usher_signature($argv[1], "site", $argv[2]);'),
}


def snippet(language: str) -> str:
    """The block of that language that defines the function."""
    blocks = re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    [found] = [block for block in blocks if re.search(r"usher_?signature\(", block, re.IGNORECASE)]
    return str(found)


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_snippet_signs_as_the_edge_expects(language: str) -> None:
    (interpreter, *options), program = PROGRAMS[language]
    if shutil.which(interpreter) is None:
        pytest.skip(f"{interpreter} is not installed here")
    for user in USERS:
        command = [interpreter, *options, program.replace("{}", snippet(language), 1), user, SECRET]
        done = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
        assert done.stdout.strip() == sign_user(KEYS, user)
        assert is_signed(KEYS, user, done.stdout.strip())
