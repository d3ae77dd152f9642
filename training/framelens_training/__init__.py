"""What makes the weights of framelens: data, recipes, fitting, calibration, export."""
