"""How the tables became what they are: one file per step, taken in order at the start of a bridge."""
