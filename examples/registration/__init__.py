"""Registration: validation before any step, and steps with and without a compensation."""
