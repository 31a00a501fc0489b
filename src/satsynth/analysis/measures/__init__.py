"""What synthetic pairs are like beside real ones: distributions, fidelity, masks, copies."""
