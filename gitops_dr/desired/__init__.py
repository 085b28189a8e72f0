"""What a cluster should be: a commit's State, rewritten for a target. Pure."""
