"""Statements of days and months: figures, findings, invoices, pages and pictures."""
