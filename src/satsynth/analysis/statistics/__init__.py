"""What trainings say together: means, standard errors, paired intervals, the verdict."""
