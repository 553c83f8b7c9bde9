"""Commands, servers and signals that tests start, and what they leave."""
