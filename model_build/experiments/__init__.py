"""What is learned from which data, with its scores, plots and samples beside the model file."""
