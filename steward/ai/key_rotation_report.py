"""What came of one rotation of a provider's key: its verdict, and what people read of it."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.ai.key_rotation import LEAST_POOL, POOL, KeysBegun, NewKey, Proof, Switched
from steward.ai.key_rotation_errors import KeyNotRotated
from steward.verdicts import Verdict

CLAIM = (
    "the account has a new key; every living worker of the gateway uses it, no attempt under the old one was under way when "
    "that was revoked, the provider refuses the old key and takes the new one, and refused no attempt in the meantime"
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RotationFacts(_Frozen):
    """What a run came to before it is judged; what it did not come to is absent."""

    new: NewKey | None = None
    switched: Switched | None = None
    lagging: tuple[str, ...] = ()
    """Workers that did not tell of the new key in time: nothing was revoked."""
    open_attempts: int = 0
    """Under the old key, and not over in time: nothing was revoked."""
    revoked: tuple[str, ...] | None = None
    proof: Proof | None = None
    error: str | None = None
    new_key_refused: bool = False


class KeyRotationReport(_Frozen):
    """The run's result."""

    account: str
    reason: str
    period: str
    attempt: int
    verdict: Verdict
    begun: KeysBegun
    facts: RotationFacts
    findings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    ended_at: AwareDatetime
    code: dict[str, str | bool | None] = {}
    host: str = "unknown"


def not_rotated(report: KeyRotationReport) -> KeyNotRotated:
    """The error that ends the run."""
    first = report.facts.error or next(iter(report.findings), "nothing was proved")
    return KeyNotRotated(
        f"the key of {report.account} is {report.verdict}: {first.splitlines()[0]}",
        hint=f"{_state(report.facts)}; read the run's artifact provider-keys and docs/runbooks/rotate-provider-keys.md",
        verdict=report.verdict,
        report=report,
    )


def assess(facts: RotationFacts) -> tuple[Verdict, tuple[str, ...]]:
    """REFUTED for what was seen to be wrong, UNKNOWN for what was left undone or could not be seen."""
    wrong, unseen = tuple(_wrong(facts)), tuple(_unseen(facts))
    if wrong:
        return Verdict.REFUTED, (*wrong, *unseen)
    done = facts.proof is not None and facts.revoked is not None and facts.error is None
    return (Verdict.UNKNOWN if unseen or not done else Verdict.VERIFIED), unseen


def _wrong(facts: RotationFacts) -> Iterator[str]:
    if facts.new_key_refused:
        yield "the provider does not take the new key: the old one stays in use"
    if facts.proof is None:
        return
    for key in facts.proof.still_answer:
        yield f"key {key} was revoked, and the provider still takes it"
    if not facts.proof.new_answers:
        yield "the provider does not take the new key, which is in use"
    if facts.proof.refused_attempts:
        yield f"the provider refused {facts.proof.refused_attempts} attempts of this account since the rotation began"


def _unseen(facts: RotationFacts) -> Iterator[str]:
    for worker in (*facts.lagging, *(facts.proof.lagging if facts.proof else ())):
        yield f"worker {worker} does not tell that it uses the new key"
    if facts.open_attempts:
        yield f"{facts.open_attempts} attempts under the old key were not over in time"
    if facts.switched and facts.revoked is None:
        yield "the new key is in use, and the old one was not revoked: the next rotation revokes it"


def warnings_of(begun: KeysBegun, facts: RotationFacts) -> tuple[str, ...]:
    """What a person ought to do before the next rotation."""
    left = facts.new.pool_left if facts.new else None
    if left is None or left >= LEAST_POOL:
        return ()
    return (
        f"the pool of {begun.account} has {left} keys left: put more into the vault, tagged {POOL}={begun.account}",
    )


def _state(facts: RotationFacts) -> str:
    if facts.switched is None:
        return "the old key is in use as before"
    return "the new key is in use" if facts.revoked is not None else "the new key is in use, the old one is not revoked"


def render(report: KeyRotationReport) -> str:
    """Markdown; its line `verdict: …` is what machines and tired people look for."""
    return "\n".join(
        [
            f"# Key of {report.account}",
            "",
            f"verdict: {report.verdict}",
            "",
            f"{_state(report.facts)}. Reason: {report.reason}",
            "",
            *(f"> {line}" for line in (report.facts.error or "").splitlines()),
            *(f"- {finding}" for finding in report.findings),
            *(f"- WARNING: {warning}" for warning in report.warnings),
            "",
            "| | |",
            "| --- | --- |",
            *(f"| {name} | {value} |" for name, value in _rows(report)),
            "",
        ]
    )


def _rows(report: KeyRotationReport) -> Iterator[tuple[str, str]]:
    begun, facts = report.begun, report.facts
    yield "secret of the vault", f"`{begun.secret}`"
    yield "old keys", ", ".join(f"`{each.id}`" for each in begun.old) or "none: taken back already"
    yield "new key", f"`{facts.new.id}`, fingerprint `{facts.new.fingerprint}`" if facts.new else "none"
    yield "new version", f"`{facts.switched.version}`" if facts.switched else "none"
    yield "revoked", ", ".join(f"`{key}`" for key in facts.revoked or ()) or "nothing"
    yield "workers at the beginning", ", ".join(begun.workers) or "none"
    if facts.proof:
        yield "attempts meanwhile, refused of them", f"{facts.proof.attempts:,}, {facts.proof.refused_attempts:,}"
    if facts.new and facts.new.pool_left is not None:
        yield "keys left in the pool", str(facts.new.pool_left)
