"""What everybody else runs: sync, re-verify everything, keep and show what was proven."""
