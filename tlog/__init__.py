"""What nodes and observers both offer to everybody over plain HTTP, in the formats of C2SP."""
