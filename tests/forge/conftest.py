"""GitHub on loopback, and time that does not pass."""

from fake_github import github, pull_request, stranger, time

__all__ = ["github", "pull_request", "stranger", "time"]
