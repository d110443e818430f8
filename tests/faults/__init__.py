"""The fault matrix: each row is one thing that goes wrong, and what must come of it."""
