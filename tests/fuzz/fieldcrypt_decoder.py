"""Fuzzes the decoder of field encryption, guided by coverage: `python -m tests.fuzz.fieldcrypt_decoder SECONDS`.

Stops at the first input for which a claim does not hold (decoder_claims.py). The last line is JSON; the status is 1
when something was found. The fuzzer proper is a process of its own, because libFuzzer ends the one it runs in.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_FUZZER = "--fuzz"


def main() -> int:
    if sys.argv[1:2] == [_FUZZER]:
        return fuzz([sys.argv[0], *sys.argv[2:]])
    with tempfile.TemporaryDirectory(prefix="fieldcrypt-fuzz-") as folder:
        return report(Path(folder), seconds=int(sys.argv[1]) if sys.argv[1:] else 60)


def report(folder: Path, seconds: int) -> int:
    """Run the fuzzer in *folder* and tell what it did."""
    (folder / "corpus").mkdir()
    limits = [f"-max_total_time={seconds}", "-max_len=8192", "-timeout=10", "-print_final_stats=1"]
    command = [sys.executable, "-m", __spec__.name, _FUZZER, *limits, f"-artifact_prefix={folder}/", f"{folder}/corpus"]
    told = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    found = [path.read_bytes().hex() for path in folder.iterdir() if path.is_file()]
    executions = re.search(r"number_of_executed_units: +(\d+)", told.stderr)
    if found or told.returncode or not executions:
        sys.stderr.write(told.stderr)
    summary = {"executions": int(executions[1]) if executions else 0, "findings": len(found), "inputs": found}
    sys.stdout.write(json.dumps(summary) + "\n")
    return 1 if found or told.returncode or not executions else 0


def fuzz(arguments: list[str]) -> int:
    """Does not return: libFuzzer ends the process."""
    import atheris  # noqa: PLC0415 # compiled for some platforms only; the claims are tested without it

    with atheris.instrument_imports(include=["steward.fieldcrypt"]):
        from tests.fuzz import decoder_claims  # noqa: PLC0415 # what is instrumented must be imported here first
    for number, seed in enumerate(decoder_claims.seeds()):
        (Path(arguments[-1]) / f"seed-{number}").write_bytes(seed)
    atheris.Setup(arguments, decoder_claims.check)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
