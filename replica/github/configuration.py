"""The stand-in's configuration: one TOML file; secrets lie in files of their own that it names."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from replica.github.errors import ConfigurationUnfit


@dataclass(frozen=True, slots=True)
class Configuration:
    """Paths are absolute."""

    folder: str
    api_port: int
    admin_port: int
    admin_token_file: str
    repository: str
    """OWNER/NAME."""
    token_file: str
    app: int
    installation: int
    app_public_key: str
    hook: int
    hook_url: str
    """Where deliveries are sent at first; empty: nowhere, and each is noted as one that failed."""
    hook_secret_file: str

    @property
    def url(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.api_port}"


def load(path: Path) -> Configuration:
    """The configuration in *path*; ConfigurationUnfit names what is wrong, never a value."""
    try:
        return Configuration(**tomllib.loads(path.read_text()))
    except OSError as error:
        raise ConfigurationUnfit(f"cannot read {path}: {error.strerror}", hint="name a readable file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        raise ConfigurationUnfit(
            f"{path} is no configuration of the stand-in: {error}", hint="see replica/github/configuration.py"
        ) from None


def secret(file: str) -> str:
    """Read where it is used: a secret that was replaced is used from the next request on."""
    return Path(file).read_text().strip()
