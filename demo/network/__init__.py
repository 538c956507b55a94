"""Where the lesson runs: the rungs of the ladder, private networks, the relay, the tap."""
