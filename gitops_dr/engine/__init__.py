"""Brings effects and the pure rooms together: observe a cluster, read a commit, execute a plan."""
