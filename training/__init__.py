"""What every run shares: precision, optimizers, fit with resume, run folder, export."""
