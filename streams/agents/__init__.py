"""The five agents: wiring between topics, tables and the core, and nothing else."""
