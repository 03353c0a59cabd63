"""A year on a fast grid: four nations, eight labs, a pause, and six ways to cheat."""
