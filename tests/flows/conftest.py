from tests.flows.durable_ground import book, effects, ledger_settings
from tests.nights import fresh, ground

__all__ = ["book", "effects", "fresh", "ground", "ledger_settings"]
