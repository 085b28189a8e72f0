"""Snapshots of volumes: records, the objects that make and restore them, retention. Pure."""
