"""Real Kafka and schema registry on this machine, without containers: for `fillonce up`, the demo and the tests."""
