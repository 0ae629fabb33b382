"""Field encryption with keys in memory, beside its rivals and in turns with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from bench.fieldcrypt_loops import FIELD, TABLE, TENANT, VALUE_BYTES, Contender, Round, Row, Timer, rows, time_round
from bench.fieldcrypt_rivals import rivals
from bench.ground import progress
from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.keyset import Keys

OURS, TEXT = "ours", "text"


def measure_speed(keys: Keys, rounds: int, calls: int) -> dict[str, Any]:
    """All figures in microseconds, and the lengths of ciphertexts."""
    cipher = FieldCipher(TENANT, keys)
    with rivals() as others:
        progress("beside " + ", ".join(f"{name} {version}" for name, version in others.versions.items()))
        timers = {OURS: ours(cipher, rows()), TEXT: ours(cipher, texts())}
        times = in_turns(timers | {name: others.timer(name) for name in others.names}, rounds, calls)
    told = figures(times) | {
        "text_us": _microseconds(_both(one) for one in times[TEXT]),
        "blind_index_us": _mean(lambda row: cipher.blind_index(TABLE, FIELD, row.value), texts(), rounds, calls),
        "keys_in_memory_us": _mean(lambda _: keys.of(TENANT), rows(), rounds, calls),
        "versions": others.versions,
    }
    tell(times)
    return told


def ours(cipher: FieldCipher, of: Sequence[Row]) -> Timer:
    """Through the API that applications use, the row's frame made at every call as they would have it."""
    contender = Contender(
        lambda row: cipher.encrypt(TABLE, FIELD, row.id, row.value),
        lambda row, ciphertext: cipher.decrypt(TABLE, FIELD, row.id, ciphertext),
    )
    return lambda calls: time_round(contender, of, calls)


def texts() -> list[Row]:
    """The rows with text of as many bytes."""
    return [row._replace(value=row.value.hex()[:VALUE_BYTES]) for row in rows()]


def in_turns(timers: dict[str, Timer], rounds: int, calls: int) -> dict[str, list[Round]]:
    """Every contender's rounds. Each turn begins with another one, so that none always follows the same."""
    # Once unmeasured: caches fill, keys are derived.
    for timer in timers.values():
        timer(calls)
    times = {name: list[Round]() for name in timers}
    names = list(timers)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(timers[name](calls))
    return times


def figures(times: dict[str, list[Round]]) -> dict[str, Any]:
    """Ours and each rival's: medians of rounds, and of ratios turn by turn."""
    told: dict[str, Any] = _halves("", times[OURS]) | {"sum_us": _microseconds(_both(one) for one in times[OURS])}
    others = {name: taken for name, taken in times.items() if name not in {OURS, TEXT}}
    for name, taken in others.items():
        told |= {f"{name}_us": _microseconds(_both(one) for one in taken)} | _halves(f"{name}_", taken)
    return told | {"times_as_long_as_ours": {name: _ratio(taken, times[OURS]) for name, taken in others.items()}}


def tell(times: dict[str, list[Round]]) -> None:
    """A line a contender, for people."""
    for name, taken in times.items():
        sums = sorted(_both(one) for one in taken)
        progress(f"  {name:16} {median(sums):8.2f} µs (from {sums[0]:.2f} to {sums[-1]:.2f})")


def _halves(prefix: str, taken: list[Round]) -> dict[str, Any]:
    return {
        f"{prefix}encrypt_us": _microseconds(one.encrypt_us for one in taken),
        f"{prefix}decrypt_us": _microseconds(one.decrypt_us for one in taken),
        f"{prefix}overhead_bytes": taken[-1].overhead_bytes,
    }


def _both(one: Round) -> float:
    return one.encrypt_us + one.decrypt_us


def _ratio(theirs: list[Round], mine: list[Round]) -> float:
    return round(median(_both(their) / _both(our) for their, our in zip(theirs, mine, strict=True)), 2)


def _mean(call: Callable[[Row], object], of: Sequence[Row], rounds: int, calls: int) -> float:
    """Microseconds: the median of rounds, each the mean of its calls."""
    return _microseconds(_round_mean(call, of, calls) for _ in range(rounds))


def _round_mean(call: Callable[[Row], object], of: Sequence[Row], calls: int) -> float:
    wanted = [of[number % len(of)] for number in range(calls)]
    began = time.process_time_ns()
    for row in wanted:
        call(row)
    return (time.process_time_ns() - began) / calls / 1000


def _microseconds(values: Any) -> float:
    return round(median(values), 2)
