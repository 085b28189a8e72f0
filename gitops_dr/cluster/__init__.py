"""The running cluster: connect, discover, list, watch, apply. Only this room talks to servers."""
