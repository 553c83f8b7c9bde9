"""Small models, and weights with known logits."""
