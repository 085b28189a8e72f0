"""Finds private keys: in the environment, in files, by a command. Reads those and runs it."""
