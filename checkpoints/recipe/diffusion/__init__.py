"""VAE, UNet with text encoder, ControlNets, depth estimator and LoRA."""
