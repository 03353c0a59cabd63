"""The page: an observer's copy shown in a browser, which verifies what it shows itself."""
