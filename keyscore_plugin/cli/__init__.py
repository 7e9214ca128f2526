"""The command line; each command has one file."""
