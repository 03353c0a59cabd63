"""What a nation's inspectors run: keys, samples drawn again, openings checked, findings signed."""
