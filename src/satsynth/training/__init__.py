"""What both trainings share: devices, seeds, the loop with its checkpoints, moving averages of weights."""
