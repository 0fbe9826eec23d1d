"""What a number means here: protocols, the networks behind them, and honest cells.

* `protocols/*.toml` say, choice by choice, what a column is; read them first. `protocol.py` loads and checks them.
* `evaluator.py` runs a protocol on images: keep, extract features once, compare.
* `summary.py` makes cells of rows: value, 95 % interval, N, failures. `intervals.py` says how intervals are drawn,
  `floors.py` what a perfect method would get.
* Columns are made by `frechet.py`, `kid.py`, `perceptual.py`, `similarity.py`, `identity/` and `synthetic.py`;
  `columns.py` is what they have in common. A module here that registers a kind of column is found by itself.
* `truth.py` and `flow.py` compare with what a renderer knows and no photograph tells.

A number carries its protocol, `fid@paper-1`, since two protocols differ by points: the authors' FID has ImageNet
weights and JPEG in it, their SSIM is an MS-SSIM. What cannot be measured is missing with its reason; nothing ever
stands in for it.
"""
