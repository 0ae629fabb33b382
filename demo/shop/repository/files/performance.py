"""One run of searches, as a JSON object on the last line: how long each took."""

import json
import time

TIMES, ROUNDS = 15, 1
NAMES = [
    f"{colour} {thing} {number}" for number in range(200) for colour in ("amber", "blue") for thing in ("jug", "lamp")
]


def search(text: str) -> list[str]:
    """Whatever has these letters."""
    found: list[str] = []
    for _ in range(ROUNDS):
        found = [name for name in NAMES for _ in range(12) if text in name]
    return found


def measured() -> float:
    """Milliseconds of one search."""
    began = time.perf_counter()
    search("amber lamp")
    return round(1000 * (time.perf_counter() - began), 4)


if __name__ == "__main__":
    print(json.dumps({"milliseconds": [measured() for _ in range(TIMES)]}))
