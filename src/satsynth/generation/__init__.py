"""What every way of making pairs offers, and all that is done with it, whatever the method."""
