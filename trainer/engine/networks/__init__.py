"""Networks: frozen backbones with a head, fine-tuned ones, ONNX."""
