"""What tables and figures share: units of work, statistics, plots, and the figures of the paper."""
