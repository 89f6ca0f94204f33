"""Real Kafka and schema registry on this machine, without containers."""
