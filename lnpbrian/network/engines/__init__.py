"""What runs a `lnpbrian.network.NetworkSpec`: exact events, one compiled loop, programs in C++ and CUDA."""
