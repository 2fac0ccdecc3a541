"""How far a twin is from reality: splits, scores, baselines, noise floor, gap, verdict, checks."""
