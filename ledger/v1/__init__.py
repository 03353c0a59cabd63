"""Generated from proto/ledger/v1 by scripts/generate; do not edit."""
