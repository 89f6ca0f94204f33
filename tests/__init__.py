"""The tests, one folder for each ring; see CONTRIBUTING.md."""
