"""Everything that a stranger on the network can touch."""
