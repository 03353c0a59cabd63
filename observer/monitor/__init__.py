"""The monitor: follows sources, finds what somebody must be told, and tells them, once and not never."""
