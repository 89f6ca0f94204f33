"""Against a real Kafka and registry on loopback."""
