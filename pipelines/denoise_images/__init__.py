"""Image denoising: from noisy pictures to clean ones."""
