"""What a staged rollout is worth: how soon a toggle is everywhere, how soon harm is taken back, how often the judge errs, and who is lost."""
