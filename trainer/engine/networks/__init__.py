"""Builds networks: frozen backbones with a head, fine-tuned networks, ONNX files."""
