"""What parties say: the types of statements and their limits, one file a family."""
