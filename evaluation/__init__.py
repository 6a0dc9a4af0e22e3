"""How good a model is: metrics, intervals, explanations, baselines, references."""
