"""A provider that counts exactly: every arrival in a log, and the most that any window ever held. It knows no ring."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Provider:
    """`window_seconds` of arrivals count, the newest included, the one exactly a window older not."""

    window_seconds: float
    arrivals: list[tuple[float, tuple[int, int, int]]] = field(default_factory=list)

    def arrive(self, at: float, counts: tuple[int, int, int]) -> None:
        """A request with its requests, input tokens and output tokens."""
        self.arrivals.append((at, counts))

    def worst(self) -> tuple[int, int, int]:
        """The most of each that lay in one window."""
        log = sorted(self.arrivals)
        worst, held, oldest = [0, 0, 0], [0, 0, 0], 0
        for at, counts in log:
            held = [have + more for have, more in zip(held, counts, strict=True)]
            while log[oldest][0] <= at - self.window_seconds:
                held = [have - gone for have, gone in zip(held, log[oldest][1], strict=True)]
                oldest += 1
            worst = [max(most, have) for most, have in zip(worst, held, strict=True)]
        return worst[0], worst[1], worst[2]

    def sums(self) -> tuple[int, int, int]:
        """Of everything."""
        requests, inputs, outputs = zip(*(counts for _, counts in self.arrivals), strict=True)
        return sum(requests), sum(inputs), sum(outputs)
