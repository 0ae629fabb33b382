"""Those who are told of a rollout, on loopback: they write down what they get, and are as strict as the real ones."""
