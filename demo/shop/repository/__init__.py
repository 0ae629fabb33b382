"""A Git repository of the shop's releases: real commits, one for each way in which a release candidate may end.

    python -m demo.shop.repository FOLDER      makes it, and prints the commits

`steady` is what users have; the others stand on it: `good` is good; `erring` passes every gate and fails users in
production; `red` has a unit test that fails, `leaky` a secret, and `slow` takes twice as long.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

FILES = Path(__file__).parent / "files"
STEADY = "steady"
_DAY = "2026-01-05T00:00:00Z"
_MIGRATION = '''"""A line of each product for lists of what was found."""

from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE products ADD COLUMN teaser text")


def downgrade() -> None:
    op.execute("ALTER TABLE products DROP COLUMN teaser")
'''


def make(folder: Path) -> dict[str, str]:
    """The commit of each, by its name. The same commits, whoever makes them, but for the leaky one's secret."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", f"--initial-branch={STEADY}")
    shutil.copytree(FILES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "build"))
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", STEADY)
    steady = git(folder, "rev-parse", "HEAD")
    return {STEADY: steady} | {name: commit(folder, name, changed) for name, changed in changes().items()}


def commit(folder: Path, name: str, changed: Mapping[str, str]) -> str:
    """One more on top of the steady one, on a branch called *name*: files by their paths."""
    git(folder, "checkout", "--quiet", "-B", name, STEADY)
    for path, text in changed.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", name)
    made = git(folder, "rev-parse", "HEAD")
    git(folder, "checkout", "--quiet", STEADY)
    return made


def git(folder: Path, *words: str) -> str:
    """What git says, without anybody's own configuration."""
    told = {
        **os.environ,
        **{f"GIT_{who}_NAME": "shop" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "shop@localhost" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_DATE": _DAY for who in ("AUTHOR", "COMMITTER")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True, env=told
    ).stdout.strip()


def changes() -> dict[str, dict[str, str]]:
    """What each of them has that the steady one has not: files by their paths, by the commit's name."""
    return {
        "good": {
            "dials.toml": _text("dials.toml").replace("as good as", "a little better than"),
            "migrations/versions/0002_teasers.py": _MIGRATION,
        },
        "erring": {"dials.toml": _dials(erring=5.0)},
        "red": {"shop_release/dials.py": _text("shop_release/dials.py").replace("10_000", "1_000")},
        # Made up here, so that no scan of this project finds it.
        "leaky": {"shop_release/bucket.py": f'ACCESS_KEY = "AKIA{_letters(16)}"\n'},
        "slow": {"performance.py": _text("performance.py").replace("ROUNDS = 15, 1", "ROUNDS = 15, 2")},
    }


def _dials(erring: float) -> str:
    off, on = _text("dials.toml").split("[on]")
    return f"{off}[on]{on.replace('erring_percent = 1.0', f'erring_percent = {erring}')}"


def _letters(count: int) -> str:
    drawn = iter(lambda: os.urandom(1)[0] % 32, None)
    return "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[next(drawn)] for _ in range(count))


def _text(path: str) -> str:
    return (FILES / path).read_text()
