"""The parts of the task that trains StyleRes and WarpRes (`methods.training.tasks.residual`)."""
