"""What synthetic pairs are like and what they are worth: distributions, fidelity, copies, statistics, figures."""
