"""How stable a network is: spectra of Lyapunov exponents, and twins."""

from lnpbrian.lyapunov.device_twins import CompiledTwins
from lnpbrian.lyapunov.exponents import Exponents, Spectrum, entropy_rate, interpolate_spectrum, kaplan_yorke_dimension
from lnpbrian.lyapunov.growth import TwinExponents
from lnpbrian.lyapunov.spectrum import flow_spectrum, lyapunov_spectrum, map_spectrum, rate_network_spectrum
from lnpbrian.lyapunov.twins import block_twin_exponents, restored_twin_exponents, tangent_twin_exponents

__all__ = [
    "CompiledTwins",
    "Exponents",
    "Spectrum",
    "TwinExponents",
    "block_twin_exponents",
    "entropy_rate",
    "flow_spectrum",
    "interpolate_spectrum",
    "kaplan_yorke_dimension",
    "lyapunov_spectrum",
    "map_spectrum",
    "rate_network_spectrum",
    "restored_twin_exponents",
    "tangent_twin_exponents",
]
