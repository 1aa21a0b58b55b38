"""What the versions of torch differ in."""

import torch

# torch < 2.7 has no word for export alone.
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
