"""How stable a network is: spectra of Lyapunov exponents, and twins."""
