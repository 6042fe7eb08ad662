"""What a hybrid and a strict step undo, failure by failure."""
