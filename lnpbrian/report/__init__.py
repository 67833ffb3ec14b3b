"""Pages of HTML about runs and sweeps."""
