"""An Elasticsearch home, laid out from Maven Central against the committed lock.

Every jar is checked against its SHA-256 before it is placed; the home is built beside its final name and renamed, so it
is whole or absent. Its name holds the lock's digest: a second run finds it and needs no network.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.maven import MavenContext

from replica.elasticsearch.lock import LOCK, LockedJar, digest, parse, sha256_of
from steward.errors import StewardError, Unavailable

Fetch = Callable[[LockedJar], Path]
"""Gives a local file for a jar; not trusted: its hash is checked."""

_DOWNLOADS = 8


class JarMismatch(StewardError):
    """A jar is not the one that was locked. It is not placed."""


def path(cache: Path, lock: Path = LOCK) -> Path:
    """Where the home of *lock* is, or will be, under *cache*."""
    return cache / f"elasticsearch-{digest(parse(lock.read_text()))}"


def ensure(cache: Path, lock: Path = LOCK, fetch: Fetch | None = None) -> Path:
    """The home of *lock* under *cache*, laid out now unless it is there.

    Raises JarMismatch (seen and expected hash) and Unavailable (the registry does not answer).
    """
    home = path(cache, lock)
    if not home.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".building-") as beside:
            built = Path(beside) / "home"
            _build(built, parse(lock.read_text()), fetch or from_registry())
            _publish(built, home)
    return home


def from_registry() -> Fetch:
    """Jars by jgo, into its usual local repository; from where, is its own default or its user's configuration."""
    settings = GlobalSettings.load()
    context = MavenContext(repo_cache=settings.repo_cache, remote_repos=settings.repositories or None, timeout=60)

    def fetch(jar: LockedJar) -> Path:
        group, artifact, version = jar.coordinate.split(":")
        try:
            return context.project(group, artifact).at_version(version).artifact().resolve()
        # jgo raises RuntimeError where no repository has the file, requests' OSErrors where none answers.
        except (RuntimeError, OSError) as error:
            raise Unavailable(
                f"cannot fetch {jar.coordinate}: {error}",
                hint="the first set-up needs a Maven repository; run it again",
            ) from error

    return fetch


def _build(home: Path, jars: list[LockedJar], fetch: Fetch) -> None:
    # What `Environment` expects of any home, beside what the jars fill.
    for folder in ("config", "plugins", "bin"):
        (home / folder).mkdir(parents=True)
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        list(pool.map(lambda jar: _place(jar, fetch(jar), home), jars))
    for module in sorted((home / "modules").iterdir()):
        _describe(module)


def _place(jar: LockedJar, fetched: Path, home: Path) -> None:
    """Copy, then check the copy: what was checked is what is loaded, whoever else may write to the local repository."""
    folder = home / jar.folder
    folder.mkdir(parents=True, exist_ok=True)
    placed = Path(shutil.copyfile(fetched, folder / jar.file_name))
    if (seen := sha256_of(placed)) != jar.sha256:
        placed.unlink()
        raise JarMismatch(
            f"{jar.coordinate} has SHA-256 {seen}, expected {jar.sha256}",
            hint=f"delete {fetched} and run it again; if it stays, do not use what the registry gives",
        )


def _describe(module: Path) -> None:
    """The module's descriptor, taken from its jar, without its Java module's name: so it loads from the class path."""
    (jar,) = module.glob(f"{module.name}-[0-9]*.jar")
    with zipfile.ZipFile(jar) as archive:
        text = archive.read(f"META-INF/es-plugins/{module.name}/plugin-descriptor.properties").decode()
    kept = [line for line in text.splitlines() if not line.startswith("modulename")]
    (module / "plugin-descriptor.properties").write_text("\n".join([*kept, ""]))


def _publish(built: Path, home: Path) -> None:
    # Another process may have been faster: its home is as good, both were checked against the same lock.
    try:
        built.rename(home)
    except OSError:
        if not home.is_dir():
            raise
