"""What the paper reports (arXiv 2403.03409), to stand beside our figures: means and standard deviations."""

from __future__ import annotations

__all__ = ["IMAGES", "IMAGES_100", "INPUT_NOISE", "PEERS", "PREDICTION", "RATIO", "READOUT", "Reported"]

Reported = tuple[float, float] | None

# Times fewer operations that LNP aims at, by model: the paper's values, rounded to what they support.
RATIO = {"HRSNN": 35.0, "CHRSNN": 45.0}

# Table 2, by pruning, model and training: average SOPs (M), Lorenz-63 RMSE and VPT, Google RMSE and VPT. One value is
# lost in the sources at hand; that of unpruned CHRSNN with STDP on Google equals the one of AP on HRSNN.
PREDICTION: dict[tuple[str, str, str], dict[str, Reported]] = {
    (method, model, training): dict(
        zip(("operations", "lorenz63 nrmse", "lorenz63 vpt", "google nrmse", "google vpt"), values, strict=True)
    )
    for method, model, training, *values in (
        ("unpruned", "HRSNN", "BP", (815.77, 81.51), (0.248, 0.058), (44.17, 6.31), (0.794, 0.096), (42.18, 6.22)),
        ("unpruned", "HRSNN", "STDP", (710.76, 79.65), (0.315, 0.042), (35.75, 4.65), None, (32.36, 3.14)),
        ("unpruned", "CHRSNN", "BP", (867.42, 93.12), (0.235, 0.052), (47.23, 6.02), (0.782, 0.091), (45.28, 5.98)),
        ("unpruned", "CHRSNN", "STDP", (744.97, 80.09), (0.285, 0.021), (40.17, 5.13), (1.948, 0.179), (19.25, 3.54)),
        ("AP", "HRSNN", "BP", (117.52, 14.37), (1.245, 0.554), (31.08, 8.23), (1.457, 0.584), (28.24, 6.98)),
        ("AP", "HRSNN", "STDP", (92.68, 10.11), (1.718, 0.195), (21.10, 7.22), (1.948, 0.179), (19.25, 7.59)),
        ("AP", "CHRSNN", "BP", (157.33, 18.87), (1.114, 0.051), (33.97, 7.56), (1.325, 0.566), (26.47, 7.42)),
        ("AP", "CHRSNN", "STDP", (118.77, 10.59), (1.596, 0.194), (29.41, 7.33), (1.987, 0.191), (17.68, 7.38)),
        ("LNP", "HRSNN", "BP", (22.87, 2.27), (0.691, 0.384), (33.67, 6.88), (0.855, 0.112), (33.14, 3.01)),
        ("LNP", "HRSNN", "STDP", (18.22, 2.03), (0.705, 0.104), (32.17, 4.62), (0.917, 0.124), (30.25, 3.26)),
        ("LNP", "CHRSNN", "BP", (19.14, 2.04), (0.682, 0.312), (39.15, 6.27), (0.832, 0.105), (34.51, 2.87)),
        ("LNP", "CHRSNN", "STDP", (14.79, 1.58), (0.679, 0.098), (39.24, 4.15), (0.901, 0.101), (32.14, 3.05)),
    )
}

# Table 1, by model and training: what pruning changes of the accuracy on CIFAR-10, in points.
IMAGE_LOSS: dict[tuple[str, str], tuple[float, float]] = {
    ("HRSNN", "STDP"): (-0.76, 0.07),
    ("HRSNN", "BP"): (-0.81, 0.08),
    ("CHRSNN", "STDP"): (-0.62, 0.07),
    ("CHRSNN", "BP"): (-0.74, 0.07),
}

# The table beside figure 9: RMSE on Lorenz-63 by signal-to-noise ratio of the input in dB, by pruning and model.
INPUT_NOISE: dict[tuple[str, str], dict[int, Reported]] = {
    (method, model): dict(zip((50, 40, 30, 20, 10), values, strict=True))
    for method, model, *values in (
        ("unpruned", "HRSNN", (0.315, 0.042), (0.334, 0.033), (0.361, 0.041), (0.391, 0.052), (0.425, 0.059)),
        ("unpruned", "CHRSNN", (0.285, 0.011), (0.304, 0.038), (0.338, 0.042), (0.354, 0.044), (0.362, 0.048)),
        ("AP", "HRSNN", (1.718, 0.195), (1.988, 0.229), (2.101, 0.284), (2.514, 0.386), (3.114, 0.551)),
        ("AP", "CHRSNN", (1.596, 0.194), (1.952, 0.233), (2.122, 0.264), (2.254, 0.357), (2.974, 0.492)),
        ("LNP", "HRSNN", (0.705, 0.104), (0.776, 0.123), (0.815, 0.136), (0.952, 0.205), (1.421, 0.326)),
        ("LNP", "CHRSNN", (0.679, 0.098), (0.714, 0.111), (0.754, 0.129), (0.825, 0.201), (1.397, 0.294)),
    )
}

# Table 1, by pruning, model and training: accuracy on CIFAR-10 in per cent, and the ratio of operations.
IMAGES: dict[tuple[str, str, str], tuple[float, float]] = {
    ("LNP", "HRSNN", "STDP"): (90.26, 39.01),
    ("LNP", "HRSNN", "BP"): (92.37, 35.67),
    ("LNP", "CHRSNN", "STDP"): (91.58, 50.37),
    ("LNP", "CHRSNN", "BP"): (93.45, 45.32),
}

# The same on CIFAR-100.
IMAGES_100: dict[tuple[str, str, str], tuple[float, float]] = {
    ("LNP", "HRSNN", "STDP"): (68.94, 48.21),
    ("LNP", "HRSNN", "BP"): (70.12, 42.57),
    ("LNP", "CHRSNN", "STDP"): (69.96, 57.44),
    ("LNP", "CHRSNN", "BP"): (73.45, 50.35),
}

# Table 1 too: accuracy on CIFAR-10 in per cent, and the ratio of operations, of other methods on deep networks. The
# names of the methods are lost in the sources at hand; they are those that their own papers go with.
PEERS: dict[str, tuple[float, float]] = {
    "ADMM, 7 conv 2 fc (Deng 2021)": (89.53, 2.91),
    "GradR, 6 conv 2 fc (Chen 2021)": (92.84, 16.59),
    "GradR, 6 conv 2 fc, denser (Chen 2021)": (92.54, 2.09),
    "IMP, ResNet19 (Kim 2022)": (93.22, 13.29),
    "STDS, 6 conv 2 fc (Chen 2022)": (92.49, 5.27),
    "ESL-SNN, ResNet19 (Shen 2023)": (91.09, 2.11),
    "LNP, ResNet19 (random)": (93.29, 9.36),
}

# Table 5: relative change of the sparsity where the readout counts. The heads of the four columns are lost in the
# sources at hand.
READOUT: dict[str, tuple[float, float, float, float]] = {
    "HRSNN": (-0.13, -0.18, -0.09, -0.14),
    "CHRSNN": (-0.08, -0.13, -0.10, -0.16),
}
