"""The shell around the core: topics, agents, engine, replay, local services, commands."""
