"""StyleTransformer equals the authors' network: codes, layers, features, images and edits, faces and cars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import torch

from bench.core.contract import Domain
from methods import load_method
from methods.styletransformer.adapter import StyleTransformer
from methods.styletransformer.network import queries
from tests.filling import fill, golden_image
from tests.parity.comparison import Comparison, check_small_image, feature_summary, image_summary

pytestmark = pytest.mark.parity
NAMES: dict[Domain, str] = {"faces": "style_transformer_ffhq", "cars": "style_transformer_cars"}


def _images(domain: Domain) -> torch.Tensor:
    images = golden_image(0, 2, 256)
    return images if domain == "faces" else images[:, :, 32:224]


class Case:
    """A loaded method, its input and its golden."""

    def __init__(self, domain: Domain, method: StyleTransformer, golden: Comparison) -> None:
        self.domain, self.method, self.golden, self.images = domain, method, golden, _images(domain)


@pytest.fixture(scope="module", params=["faces", "cars"])
def case(request: pytest.FixtureRequest, filled, comparison) -> Iterator[Case]:  # noqa: ANN001
    domain: Domain = request.param
    with ExitStack() as stack:
        paths = stack.enter_context(filled(NAMES[domain], namespace=domain == "cars"))
        method = load_method("styletransformer", domain=domain, checkpoint=paths)
    assert isinstance(method, StyleTransformer)
    yield Case(domain, method, comparison(NAMES[domain], method="styletransformer", domain=domain))


def test_tokens_and_features(case: Case) -> None:
    encoder = case.method.encoder
    query = queries(encoder.tokens.z, case.method.generator.mapping)
    taps = encoder.taps(case.images)
    first, second, third = encoder.tokens(query, encoder.pyramid(taps))
    arrays = {"query": query, "t1": first, "t2": second}
    for index, tap in enumerate(taps):
        arrays |= feature_summary(f"c{index}", tap)
    case.golden.check_all(arrays)
    average = case.method.latent_avg.numpy()
    case.golden.check("encoder_raw", third, case.golden.expected("codes") - average)


def test_codes_images_and_edits(case: Case) -> None:
    method, golden = case.method, case.golden
    inversion = method.invert(case.images)
    golden.check("codes", inversion.codes)
    alone = method.invert(case.images[1:])
    torch.testing.assert_close(alone.codes, inversion.codes[1:], atol=1e-4, rtol=0)
    delta = torch.from_numpy(fill("edit_direction", (method.latent_rows, 512), ["normal", 0.3]))
    # One image at a time: two 1024 px images at once need twice the memory.
    images = torch.cat([method.edit(inversion[i : i + 1]) for i in range(2)])
    golden.check_all(image_summary("image", images))
    check_small_image(golden, images, method.input_size)
    edits = torch.cat([method.edit(inversion[i : i + 1], delta) for i in range(2)])
    golden.check_all(image_summary("edit", edits))


def test_sizes(case: Case) -> None:
    method = case.method
    expected = {"faces": ((256, 256), (1024, 1024), 18), "cars": ((192, 256), (384, 512), 16)}[case.domain]
    assert (method.input_size, method.output_size, method.latent_rows) == expected


def test_every_array_was_compared(case: Case) -> None:
    if not case.golden.deviations:
        pytest.skip("the comparisons did not run")
    assert not case.golden.unchecked()
