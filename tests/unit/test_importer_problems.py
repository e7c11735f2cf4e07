"""What cannot be used of a user's folder is named with its fix, and the rest goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from user_folder import box, load, picture, write_urdf

from grasplearn.errors import AssetError
from grasplearn.sim.mesh_checks import ImportReport


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def problem(folder: Path) -> ImportReport:
    """The one fatal report; a good object beside the bad one is loaded all the same."""
    box().export(folder / "good.stl")
    models, reports = load(folder)
    assert [m.object_id for m in models] == ["good"]
    (report,) = reports
    assert report.fatal
    assert report.name in str(report)
    assert report.fix in str(report)
    return report


def test_millimetres(folder: Path) -> None:
    box(50, 30, 80).export(folder / "bad.stl")
    assert "looks like millimetres: scale by 0.001" in str(problem(folder))


def test_too_small_and_flat(folder: Path) -> None:
    box(0.0005, 0.0003, 0.0008).export(folder / "bad.stl")
    assert "too small for the hand" in str(problem(folder))
    (folder / "bad.stl").unlink()
    sheet = trimesh.Trimesh([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], [[0, 1, 2]])
    sheet.export(folder / "flat.stl")
    assert "it is flat" in str(problem(folder))


def test_not_a_number(folder: Path) -> None:
    box().export(folder / "bad.obj")
    text = (folder / "bad.obj").read_text()
    first = next(line for line in text.splitlines() if line.startswith("v "))
    (folder / "bad.obj").write_text(text.replace(first, "v nan 0 0"))
    assert "NaN" in str(problem(folder))


@pytest.mark.parametrize("name", ["bad.stl", "bad.obj", "bad.ply", "bad.glb"])
@pytest.mark.parametrize("content", [b"", b"not a mesh\n", bytes(range(256)) * 4])
def test_unreadable_files(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    report = problem(folder)
    assert report.name == "bad" and "No module" not in report.problem


def test_degenerate_faces(folder: Path) -> None:
    (folder / "bad.obj").write_text("v 0 0 0\nv .1 .1 .1\nv .05 .05 .05\nf 1 2 3\nf 1 1 2\n")
    assert "no area" in str(problem(folder))


def test_broken_xml(folder: Path) -> None:
    write_urdf(folder / "bad")
    text = (folder / "bad" / "thing.urdf").read_text()
    (folder / "bad" / "thing.urdf").write_text(text.replace("</link>", ""))
    assert "broken XML" in str(problem(folder))


def test_a_doctype_is_refused_before_its_entities_grow(folder: Path) -> None:
    (folder / "bad").mkdir()
    bomb = '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><robot>&b;</robot>'
    (folder / "bad" / "x.urdf").write_text(bomb)
    assert "DOCTYPE" in str(problem(folder))


def test_missing_mesh_and_bad_numbers(folder: Path) -> None:
    write_urdf(folder / "bad", visual='<mesh filename="nose.obj"/>')
    assert "'nose.obj' is not there" in str(problem(folder))
    write_urdf(folder / "bad", visual='<box size="1 2"/>')
    assert "should be 3 numbers" in str(problem(folder))
    write_urdf(folder / "bad", visual="<teapot/>")
    assert "<teapot> is not known" in str(problem(folder))


def test_nothing_outside_the_folder_is_read(folder: Path, tmp_path: Path) -> None:
    box().export(tmp_path / "secret.stl")
    write_urdf(folder / "bad", visual='<mesh filename="../../secret.stl"/>')
    assert "lies outside" in str(problem(folder))
    (folder / "bad" / "link.stl").symlink_to(tmp_path / "secret.stl")
    write_urdf(folder / "bad", visual='<mesh filename="link.stl"/>')
    assert "lies outside" in str(problem(folder))
    write_urdf(folder / "bad", visual=f'<mesh filename="{tmp_path}/secret.stl"/>')
    assert "lies outside" in str(problem(folder))


def test_collision_shapes_elsewhere(folder: Path) -> None:
    write_urdf(folder / "bad")
    text = (folder / "bad" / "thing.urdf").read_text()
    (folder / "bad" / "thing.urdf").write_text(text.replace("0 0 0.1", "0 0 0.3", 1))
    assert "do not enclose" in str(problem(folder))


def test_several_links(folder: Path) -> None:
    (folder / "bad").mkdir()
    (folder / "bad" / "x.urdf").write_text("<robot><link name='a'/><link name='b'/></robot>")
    assert "2 links" in str(problem(folder))


def test_same_name_twice_and_a_folder_without_a_mesh(folder: Path) -> None:
    box().export(folder / "good.ply")
    assert "same name" in str(problem(folder))
    (folder / "good.ply").unlink()
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").write_text("hello")
    assert "has no .urdf" in str(problem(folder))


def test_no_folder_and_an_empty_one(folder: Path) -> None:
    with pytest.raises(AssetError, match="no folder"):
        load(folder / "nowhere")
    with pytest.raises(AssetError, match="holds no objects"):
        load(folder)


# ------------------------------------------------------------------ what is usable with a warning


def test_an_open_mesh(folder: Path) -> None:
    mesh = box()
    mesh.update_faces(np.arange(len(mesh.faces)) > 0)
    mesh.export(folder / "open.stl")
    (model,), (report,) = load(folder)
    assert "open (not watertight)" in str(report)
    assert not report.fatal
    assert model.mass == pytest.approx(0.048, rel=0.01)


def test_a_missing_texture(folder: Path) -> None:
    mesh = box()
    (folder / "x.mtl").write_text("newmtl m\nmap_Kd lost.png\n")
    rows = ["mtllib x.mtl", "usemtl m", "vt 0 0"]
    rows += [f"v {x} {y} {z}" for x, y, z in mesh.vertices]
    rows += ["f " + " ".join(f"{i + 1}/1" for i in face) for face in mesh.faces]
    (folder / "x.obj").write_text("\n".join(rows))
    (model,), (report,) = load(folder)
    assert "'lost.png' is not there, so it is drawn in grey" in str(report)
    seen = picture(model)
    assert np.ptp(seen, axis=1).max() < 3
    # The same report comes from the cache.
    assert load(folder)[1] == [report]


def test_too_wide_for_the_hand(folder: Path) -> None:
    box(0.2, 0.2, 0.2).export(folder / "crate.stl")
    (_,), (report,) = load(folder)
    assert "wider than the hand opens" in str(report)
