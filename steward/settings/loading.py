"""Settings from their file: what is wrong with it is told by file and field, never by value."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from pydantic import ValidationError

from steward.errors import BadInput
from steward.settings.base import VARIABLE
from steward.settings.whole import Settings


def load(path: Path | None = None) -> Settings:
    """Settings from *path*, or from the file that `STEWARD_SETTINGS` names. BadInput names the file and the field."""
    named = path or os.environ.get(VARIABLE)
    if not named:
        raise BadInput(f"{VARIABLE} is not set", hint="let it name a settings file; `make up` prints the replica's")
    try:
        return Settings.model_validate(tomllib.loads(Path(named).read_text()))
    except OSError as error:
        raise BadInput(f"cannot read settings {named}: {error.strerror}", hint=f"{VARIABLE} must name a file") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"settings {named} are not TOML: {error}", hint="mend the line it names") from None
    except UnicodeDecodeError:
        raise BadInput(f"settings {named} are not UTF-8 text", hint=f"{VARIABLE} must name a TOML file") from None
    except ValidationError as error:
        # Inputs stay out: a secret written where a reference belongs must not reach a log.
        faults = "; ".join(
            ": ".join(filter(None, (".".join(map(str, fault["loc"])), fault["msg"])))
            for fault in error.errors(include_input=False)
        )
        raise BadInput(f"settings {named} are not usable: {faults}", hint="see docs/settings.md") from None
