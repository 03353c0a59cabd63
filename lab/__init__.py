"""What a lab runs: collect, build, show, submit, keep what stays hidden."""
