"""Pictures, answers and files without torch and OpenCV are those of the full program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from teaching_kit import table

from grasplearn import geometry
from grasplearn.edge import answer, layout, picture, store
from grasplearn.edge.nearest import nearest
from grasplearn.edge.step_cost import Size, batch_of
from grasplearn.errors import FileFormatError
from grasplearn.learning.pretrained import load_pretrained
from grasplearn.learning.probe import is_found
from grasplearn.library import DEMONSTRATION, WEIGHTS
from grasplearn.nets import codec, weights
from grasplearn.nets.head import maps_loss
from grasplearn.skill import KIND


@pytest.mark.parametrize("shape", [(9, 7, 3), (8, 11)])
def test_a_png_of_every_filter_is_read(shape: tuple[int, ...], tmp_path: Path) -> None:
    kind = np.uint8 if len(shape) == 3 else np.uint16
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.integers(0, 9, shape), 0)
    values = (smooth + rng.integers(0, np.iinfo(kind).max, shape)).astype(kind)
    for filter_kind in range(6):  # the five filters, and OpenCV's own choice
        settings = [] if filter_kind == 5 else [cv2.IMWRITE_PNG_FILTER, 8 << filter_kind]
        path = str(tmp_path / "p.png")
        cv2.imwrite(path, values[..., ::-1] if len(shape) == 3 else values, settings)
        np.testing.assert_array_equal(picture.read_png(Path(path)), values)


def test_a_foreign_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"GIF89a")
    with pytest.raises(FileFormatError, match="give a PNG"):
        picture.read_png(tmp_path / "p.png")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.03, 0.4, 0.95])
def test_the_nearest_cell_is_opencvs(share: float) -> None:
    hit = np.random.default_rng(0).random((97, 97)) < share
    hit[40, 11] = True
    wanted, labels = cv2.distanceTransformWithLabels(
        (~hit).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source, far = nearest(hit)
    # A label stands for one measured cell; so whoever shares its label has that cell's index.
    np.testing.assert_array_equal(labels, labels.ravel()[source])
    assert hit.ravel()[source].all()
    np.testing.assert_array_equal(far.astype(np.float32), wanted)


@pytest.mark.parametrize("holes", [0.0, 0.5, 0.98])
def test_the_input_is_that_of_the_full_program(holes: float) -> None:
    seen = table()
    lost = np.random.default_rng(0).random(seen.depth.shape) < holes
    lost[40:90, 60:80] = True
    seen = replace(seen, depth=np.where(lost, np.float32(0), seen.depth))
    view, own = geometry.heightmap(seen), picture.heightmap(seen)
    assert not view.known.all()
    for name in ("rgb", "height", "known"):
        np.testing.assert_array_equal(getattr(own, name), getattr(view, name))
    encoded = codec.encode(view)
    np.testing.assert_allclose(
        picture.encode(picture.View(view.rgb, view.height, view.known)), encoded, atol=1e-6
    )
    spec = load_pretrained().net.spec
    place = codec.Place(120.3, 90.7, 0.0)
    wanted = codec.patches(encoded, place, spec).numpy()
    for index in range(0, spec.turns, 5):
        turn = 2 * np.pi * index / spec.turns
        made = picture.patch(encoded.numpy(), place.u, place.v, turn, wanted.shape[-1])
        assert np.abs(made - wanted[index]).max() < 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_answers_are_those_of_the_full_program(weights_file: Path, seed: int) -> None:
    spec, view = load_pretrained(str(weights_file)).net.spec, geometry.heightmap(table())
    rng = np.random.default_rng(seed)
    quality = (6 * rng.standard_normal((spec.turns, 56, 56))).astype(np.float32)
    widths = rng.random(quality.shape, np.float32)
    maps = codec.Maps(torch.from_numpy(quality[None]), torch.from_numpy(widths[None]))
    wanted, certain = codec.decode(maps, view, 0.3)
    own = picture.View(view.rgb, view.height, view.known)
    grasp, sure = answer.decode(quality, widths, own, 0.3)
    np.testing.assert_allclose(grasp.center_world, wanted.center_world, atol=1e-9)
    assert (grasp.yaw, grasp.width) == pytest.approx((wanted.yaw, wanted.width))
    assert sure == pytest.approx(certain)
    place = answer.best_place(quality, spec.stride)
    assert place[3] == pytest.approx(codec.best_place(maps.quality[0], spec.stride)[1])
    target = batch_of(spec, Size(1, 224, 1), seed).target
    right = target.place[0].numpy()
    assert answer.is_found(quality, right, spec.stride) == is_found(
        maps.quality[0], target.place[0], spec.stride
    )
    loss = answer.loss(quality, widths, right, 0.5, 10.0)
    assert loss == pytest.approx(float(maps_loss(maps, target)), rel=1e-5)


def test_files_are_those_of_the_full_program(tmp_path: Path) -> None:
    tensors = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(1, np.float32)}
    store.write(tmp_path / "own", "thing", tensors, {"note": "é"})
    found, card = weights.load_tensors(tmp_path / "own", "thing")
    assert card["note"] == "é"
    np.testing.assert_array_equal(found["b"], tensors["b"])
    weights.save_tensors(tmp_path / "theirs", "thing", found, {"note": "é"})
    again, other = store.read(tmp_path / "theirs", "thing")
    assert other == card
    np.testing.assert_array_equal(again["b"], tensors["b"])
    damaged = bytearray((tmp_path / "own").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "own").write_bytes(damaged)
    with pytest.raises(FileFormatError, match="damaged"):
        store.read(tmp_path / "own", "thing")
    with pytest.raises(FileFormatError, match="holds a thing"):
        store.read(tmp_path / "theirs", "other")
    assert (layout.SKILL_KIND, layout.SKILL_WEIGHTS) == (KIND, WEIGHTS)
    assert layout.SKILL_DEMONSTRATION == DEMONSTRATION
