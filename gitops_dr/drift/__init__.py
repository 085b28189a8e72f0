"""How two States differ. Pure."""
