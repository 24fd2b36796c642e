"""The door for vendors: raw body in, answer out."""
