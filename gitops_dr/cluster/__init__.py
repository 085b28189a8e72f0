"""The running cluster: connect, discover, list, watch, apply. The only room that talks to an API server."""
