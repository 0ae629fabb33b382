from tests.flows.durable_ground import book, effects, ledger_settings
from tests.nights import fresh, ground
from tests.rotation_runs import all_customers, customers, flow_customers, new_customers, rotation_template

__all__ = [
    "all_customers",
    "book",
    "customers",
    "effects",
    "flow_customers",
    "fresh",
    "ground",
    "ledger_settings",
    "new_customers",
    "rotation_template",
]
