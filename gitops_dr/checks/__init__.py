"""What would stop you, and the remedy: rows over facts that others have gathered. Pure."""
