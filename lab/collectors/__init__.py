"""From a scheduler's own accounting to records; one module a source."""
