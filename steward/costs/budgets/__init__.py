"""Budgets of a month: what was spent, what will be, who is told and what stops."""
