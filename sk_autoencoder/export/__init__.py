"""Export to ONNX."""

from sk_autoencoder.export._onnx import register_onnx_converters, to_onnx

__all__ = ["register_onnx_converters", "to_onnx"]
