"""What a nation runs: consensus, storage, publication and the services labs and observers call."""
