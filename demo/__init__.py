"""The main job on real input, on one machine: no cluster, no AWS account, no root. `python -m demo` tells the story."""
