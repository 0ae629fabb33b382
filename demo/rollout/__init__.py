"""Two releases of the sample shop under live users: one that goes to everybody on proof, and one that is taken back by itself."""
