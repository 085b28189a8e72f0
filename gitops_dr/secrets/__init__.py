"""Secrets: what must never be seen and never reach Git in plain text. Pure."""
