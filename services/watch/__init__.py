"""What takes up abandoned operations, tells when they are overdue, and counts: one small process outside Prefect."""
