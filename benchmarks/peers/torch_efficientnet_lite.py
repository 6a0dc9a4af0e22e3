"""Runs EfficientNet-Lite0 in PyTorch on pictures from a file.

For `benchmarks/efficientnet_lite_port.py`, in a Python of its own:

    python torch_efficientnet_lite.py INPUTS.npz WEIGHTS.pth OUTPUTS.npz

Needs torch and, without what they would install, the packages
efficientnet-lite-pytorch and numpy. Every array of INPUTS is a batch of square
pictures (n, side, side, 3) in [0, 255]. OUTPUTS holds logits under the same names,
every array of WEIGHTS under `state/NAME`, and the version of torch.
"""

import sys

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet


def main() -> None:
    """Reads the inputs, writes the outputs."""
    inputs, weights, outputs = sys.argv[1:]
    state = torch.load(weights, map_location="cpu", weights_only=True)
    found = {f"state/{name}": tensor.numpy() for name, tensor in state.items()}
    for name, pixels in np.load(inputs).items():
        # The padding is computed for this side when the network is built.
        network = EfficientNet.from_name(
            "efficientnet-lite0", image_size=pixels.shape[1]
        )
        network.load_state_dict(state)
        network.eval()
        scaled = (torch.from_numpy(pixels).permute(0, 3, 1, 2) - 127) / 128
        with torch.no_grad():
            found[name] = network(scaled).numpy()
    np.savez(outputs, torch_version=torch.__version__, **found)


if __name__ == "__main__":
    main()
