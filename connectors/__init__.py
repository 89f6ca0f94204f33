"""Everything outside Kafka: venues, recorded files and clocks, behind the protocols of `ports`."""
