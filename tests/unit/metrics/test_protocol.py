"""Protocol files: ours load and are frozen, wrong ones are refused with the key and close names."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import UsageError
from metrics.columns import known_kinds
from metrics.protocol import FOLDER, load_protocol, protocol_names
from tests.unit.metrics.reference import reference

NAMES = ["paper-1", "standard-1", "synthetic-1", "synthetic-2"]


def changed(tmp_path: Path, old: str, new: str, name: str = "paper-1") -> Path:
    """A copy of one of our files with a text replaced."""
    text = (FOLDER / f"{name}.toml").read_text()
    assert old in text
    path = tmp_path / f"{name}.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_names() -> None:
    assert protocol_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_protocol_is_a_new_name(name: str) -> None:
    """If this fails, a protocol was edited: give the new rules a new name, the old one stands beside old numbers."""
    assert load_protocol(name).digest == reference("protocol_digests")[name]


def test_every_column_explains_itself() -> None:
    for name in NAMES:
        for column in load_protocol(name).columns:
            assert len(column.what) > 40, f"{column.metric}@{name}"
            assert column.title


def test_paper_and_standard_differ_where_they_should() -> None:
    paper, standard, synthetic, _ = (load_protocol(name) for name in NAMES)
    assert (paper.images.storage, paper.images.jpeg_quality, paper.images.uint8) == ("jpeg", 75, "truncate")
    assert (paper.images.input, standard.images.input) == ("stored", "original")
    assert (standard.images.storage, standard.images.uint8) == ("memory", "round")
    assert (paper.failures.rule, standard.failures.rule) == ("skip", "zero")
    assert paper.images.size("cars") == (192, 256)
    assert paper.column("fid").options.extractor == "inception-imagenet"
    assert standard.column("fid").options.extractor == "inception-fid"
    assert (paper.column("ssim").kind, standard.column("ssim").kind) == ("ms_ssim", "ssim")
    assert paper.column("id").options.alignment == "group_crop"
    assert paper.column("id_mtcnn").options.softmax == "width"
    assert standard.column("id").options.alignment == "insightface"
    assert "kid" in [column.metric for column in standard.columns]
    assert [column.metric for column in synthetic.columns] == ["fd", "lpips", "id", "ssim", "psnr"]


def test_identity_has_no_meaning_for_cars() -> None:
    assert "id" in [column.metric for column in load_protocol("paper-1").of("faces")]
    assert "id" not in [column.metric for column in load_protocol("paper-1").of("cars")]


def test_digest_is_of_the_meaning(tmp_path: Path) -> None:
    original = load_protocol("paper-1")
    text = (FOLDER / "paper-1.toml").read_text()
    path = tmp_path / "paper-1.toml"
    path.write_bytes(("# another comment\n" + text).replace("\n", "\r\n").encode())
    assert load_protocol(path).digest == original.digest
    assert load_protocol(changed(tmp_path, "jpeg_quality = 75", "jpeg_quality = 95")).digest != original.digest


def test_a_protocol_extends_another(tmp_path: Path) -> None:
    path = tmp_path / "mine-1.toml"
    path.write_text(
        'extends = "paper-1"\nname = "mine-1"\n[pictures]\njpeg_quality = 90\n'
        '[[columns]]\nstem = "mse_again"\ntitle = "MSE"\nbetter = "lower"\nkind = "mse"\nwhat = "x"\n'
        '[[columns]]\nstem = "lpips"\ntitle = "VGG"\nbetter = "lower"\nkind = "lpips"\nnet = "vgg"\nwhat = "x"\n'
    )
    base, mine = load_protocol("paper-1"), load_protocol(path)
    assert [column.metric for column in mine.columns] == [*(column.metric for column in base.columns), "mse_again"]
    assert mine.column("lpips").title == "VGG" and mine.column("fid") == base.column("fid")
    assert mine.images.jpeg_quality == 90 and mine.images.resize == base.images.resize
    assert (mine.name, mine.title) == ("mine-1", base.title)
    path.write_text(f'extends = "{path}"\nname = "mine-1"\n')
    with pytest.raises(UsageError, match="extends itself"):
        load_protocol(path)


def test_unknown_protocol_offers_close_names() -> None:
    with pytest.raises(UsageError) as error:
        load_protocol("paper1")
    assert "paper-1" in error.value.next_step


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("resize =", "resise =", "resise"),
        ('storage = "jpeg"', 'storage = "jpg"', "jpg"),
        ('net = "alex"', 'net = "alexnet"', "alexnet"),
        ('kind = "lpips"', 'kind = "lpip"', "lpip"),
        ('kind = "lpips"', "", "kind"),
        ("jpeg_quality = 75", 'jpeg_quality = "75"', "jpeg_quality"),
        ("jpeg_quality = 75", "jpeg_quality = true", "jpeg_quality"),
        ("faces = [256, 256]", "faces = [256]", "faces"),
        ('rule = "skip"', 'rule = "drop"', "drop"),
        ('input = "stored"', "", "input"),
        ('stem = "lpips"', 'stem = "fid"', "two columns"),
        ('stem = "lpips"', 'stem = "lp@ips"', "lp@ips"),
        ('name = "paper-1"', 'name = "paper-2"', "paper-2"),
        ('name = "paper-1"', 'name = "paper-1', "TOML"),
        ("[failures]", "[failure]", "failure"),
        ('recipe = "stargan2"', 'recipe = "clean_fid"', "clean_fid"),
        ('domains = ["faces"]', 'domains = ["dogs"]', "dogs"),
        # A name that every result has for something else, and numbers that would fail after the last image.
        ('stem = "lpips"', 'stem = "image"', "image"),
        ("jpeg_quality = 75", "jpeg_quality = 101", "at most 100"),
        ("faces = [256, 256]", "faces = [0, 256]", "at least 1"),
        ("resamples = 2000", "resamples = 0", "at least 1"),
        ("confidence = 0.95", "confidence = 95", "below 1"),
        ("smallest_set = 2", "smallest_set = 1", "at least 2"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        load_protocol(changed(tmp_path, old, new))
    assert message in str(error.value)
    assert "paper-1.toml" in str(error.value)


def test_features_of_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kid"):
        load_protocol(changed(tmp_path, 'features = "fid"', 'features = "fidd"', "standard-1"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("detector_size = 256", "detector_size = 250"),
        ("subsets = 100", "subsets = -1"),
        ("subset_size =", "subset_size = 0 #"),
    ],
)
def test_options_of_a_kind_have_bounds(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(UsageError, match=r"standard-1\.toml.* must be"):
        load_protocol(changed(tmp_path, old, new, "standard-1"))


def test_kinds_find_themselves() -> None:
    kinds = set(known_kinds())
    assert {"frechet", "kid", "lpips", "ssim", "ms_ssim", "mse", "psnr", "identity", "world_identity"} <= kinds
