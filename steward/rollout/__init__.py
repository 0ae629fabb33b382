"""The judgement of a staged rollout: whether the exposed users are provably as well as the others."""
