"""`python -m shop_release.build`: the release's file, from dials that can be read."""

from __future__ import annotations

from pathlib import Path

from shop_release.dials import read

ROOT = Path(__file__).parent.parent


def main() -> None:
    """build/release.toml."""
    source = ROOT / "dials.toml"
    read(source)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "release.toml").write_bytes(source.read_bytes())


if __name__ == "__main__":
    main()
