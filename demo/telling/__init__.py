"""How an outcome is told: as a story, as a matrix, as JSON."""
