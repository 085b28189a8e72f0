"""Differences become a plan: references, facts, order, digest. Pure; reads only shipped data."""
