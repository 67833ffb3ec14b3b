"""What the paper does not show and its claims need: controls, other networks, what depends on what."""
