"""The program `fillonce`: one file per group of commands, each thin over the rest of the house."""
