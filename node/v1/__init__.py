"""Generated from proto/node/v1 by scripts/generate; do not edit."""
