"""Programs that Debian's packages brought."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from replica.errors import DidNotStart

# Where Debian puts what serves a machine: on root's PATH, and on nobody else's.
_SYSTEM = "/usr/sbin"


def find(name: str, server: str) -> Path:
    """The program *name* that *server* runs; DidNotStart where it is not installed."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{_SYSTEM}")
    if found is None:
        raise DidNotStart(
            server,
            f"there is no program {name} on the PATH, nor in {_SYSTEM}",
            hint=f"install the package {name}: deployments/debian/check names or installs what is missing",
        )
    return Path(found)
