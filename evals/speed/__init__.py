"""The cost of KeyScore, compared with the alternatives; see README.md."""
