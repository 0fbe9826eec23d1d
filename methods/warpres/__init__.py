"""WarpRes: StyleRes whose residual features follow the edit through a learned flow ("warpres" card)."""
