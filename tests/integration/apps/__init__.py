"""Apps on the engine that the tests start as workers of their own."""
