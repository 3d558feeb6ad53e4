"""What has been trained leaves its run directory: one file, ONNX, other people's layouts."""
