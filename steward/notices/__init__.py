"""What a rollout tells its stakeholders: the notice, and what it says to each kind of receiver."""
