"""How many frames a selection saves: the frame reduction rates of sec. 4.1.4."""

N_UFP = 8  # sec. 4.1.4: "the standard uniform fixed sampling baseline"


def frr(asf: float, n_reference: float) -> float:
    """Frame reduction rate: the share of reference frames that was saved.

    Args:
        asf: Average selected frames, N_sel.
        n_reference: `N_UFP` for FRR-UFP, the average frames of a video, N_avg, for FRR-Avg.

    Example:
        >>> frr(2.0, N_UFP)
        0.75
    """
    return 1.0 - asf / n_reference
