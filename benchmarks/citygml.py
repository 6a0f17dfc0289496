"""P1, CityGML → GeoParquet: ours beside the expat floor and plateaukit, as ratios of one run.

    python benchmarks/citygml.py [--mb 99] [--runs 3] [--large] [--peers] [--json] [--source FILE]

A real PLATEAU file (LOD0 to LOD2) is replicated with unique ids; where no real data lie beside the
checkout, the demo city's largest file is taken. Ours runs in a process of its own: the first run
compiles and is not counted. `--large` adds the peak memory on a 1 GB file, `--peers` installs
plateaukit into `.bench/plateaukit` and measures it.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path
from typing import Any
from xml.parsers import expat

ROOT = Path(__file__).resolve().parent.parent
REAL = ROOT.parent / "shared" / "data" / "plateau_citygml"
BENCH = ROOT / ".bench"
PLATEAUKIT = "plateaukit==0.20.0"

_MEMBER = re.compile(r"<(?:core:)?cityObjectMember>.*</(?:core:)?cityObjectMember>", re.S)
_APPEARANCE = re.compile(r"<app:appearanceMember>.*?</app:appearanceMember>", re.S)
_ID = re.compile(r'(gml:id="|xlink:href="#|<uro:buildingID>)([^"<]+)')
_POSITIONS = re.compile(r"(<gml:posList[^>]*>)([^<]*)(?=</gml:posList>)")


def replicate(source: Path, target: Path, megabytes: float) -> int:
    """Write the members of `source` again and again, shifted, with ids of their own; the count of copies."""
    text = source.read_text(encoding="utf-8")
    found = _MEMBER.search(text)
    if found is None:
        raise ValueError(f"{source.name}: no cityObjectMember")
    body = _APPEARANCE.sub("", found[0])
    copies = max(1, round(megabytes * 1e6 / len(body.encode())))
    with target.open("w", encoding="utf-8") as out:
        out.write(text[: found.start()])
        for k in range(copies):
            out.write(_POSITIONS.sub(_shifted(k), _ID.sub(rf"\g<1>\g<2>_{k}", body)) + "\n")
        out.write(text[found.end() :])
    return copies


def _shifted(copy: int) -> Any:
    steps = (0.0125 * (copy % 20), 0.0125 * (copy // 20 % 20))

    def move(match: re.Match[str]) -> str:
        values = match[2].split()
        for axis, step in enumerate(steps):
            values[axis::3] = [f"{float(v) + step:.12f}" for v in values[axis::3]]
        return match[1] + " ".join(values)

    return move


def sample(work: Path) -> tuple[Path, str]:
    """A file with several levels of detail, and what it is."""
    real = sorted(REAL.rglob("*_bldg_*.gml"), key=lambda p: p.stat().st_size)
    fit = [p for p in real if 500_000 < p.stat().st_size < 6_000_000]
    for path in sorted(fit, key=lambda p: abs(p.stat().st_size - 2_700_000)):
        if b":lod2" in path.read_bytes():
            return path, f"real: {path.name}"
    if fit:
        return fit[-1], f"real, without LOD2: {fit[-1].name}"
    from citymap.demo import generate
    from citymap.progress import Quiet

    generate(work / "demo", buildings=2000, seed=1, progress=Quiet())
    made = max((work / "demo").rglob("*_bldg_*.gml"), key=lambda p: p.stat().st_size)
    return made, f"demo city (no real data beside the checkout): {made.name}"


def floor(path: Path, runs: int) -> tuple[str, float, int]:
    """Name, seconds (median) and buildings of the expat floor."""
    BENCH.mkdir(exist_ok=True)
    program, source = BENCH / "expat_floor", Path(__file__).with_name("expat_floor.c")
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc:
        built = subprocess.run(
            [gcc, "-O3", source, "-lexpat", "-o", program], capture_output=True, check=False
        )
        if built.returncode == 0:
            times, count = [], 0
            for _ in range(runs):
                out = subprocess.run(
                    [program, path], capture_output=True, text=True, check=True
                ).stdout
                _, seconds, buildings, _ = out.split()
                times.append(float(seconds))
                count = int(buildings)
            return "C expat + numbers", statistics.median(times), count
    print(
        "no gcc with expat headers: the floor is pyexpat with numbers, which is far slower",
        file=sys.stderr,
    )
    times, count = [], 0
    for _ in range(runs):
        seconds, count = _pyexpat(path)
        times.append(seconds)
    return "pyexpat + numbers (weak floor)", statistics.median(times), count


def _pyexpat(path: Path) -> tuple[float, int]:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    state: dict[str, Any] = {"text": None, "buildings": 0}

    def start(name: str, _: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if local in ("posList", "pos"):
            state["text"] = []
        elif local == "Building":
            state["buildings"] += 1

    def data(text: str) -> None:
        if state["text"] is not None:
            state["text"].append(text)

    def stop(_: str) -> None:
        if state["text"] is not None:
            list(map(float, "".join(state["text"]).split()))
            state["text"] = None

    parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = (
        start,
        data,
        stop,
    )
    begun = time.perf_counter()
    with path.open("rb") as handle:
        parser.ParseFile(handle)
    return time.perf_counter() - begun, state["buildings"]


def child(path: Path, runs: int) -> None:
    """In a process of its own: import the file `runs` times after one warm-up; prints JSON."""
    from citymap.plateau.parts import do_without_pandas, use_lean_memory

    use_lean_memory()
    do_without_pandas()  # as the importer sets up its worker processes
    import pyarrow.parquet as pq

    from citymap.plateau.building_file import read_building_file
    from citymap.plateau.codelist import Codelists

    wall, cpu, report, rows = [], [], None, 0
    with tempfile.TemporaryDirectory(prefix="citymap-bench-") as folder:
        for k in range(runs + 1):
            out = Path(folder) / str(k)
            used, begun = time.process_time(), time.perf_counter()
            report = read_building_file(
                path, out, source_file=path.name, edition=None, codelists=Codelists([path.parent])
            )
            wall.append(time.perf_counter() - begun)
            cpu.append(time.process_time() - used)
            rows = pq.read_metadata(out / "buildings.parquet").num_rows
            shutil.rmtree(out)
    counted = slice(1, None) if runs else slice(None)
    print(json.dumps({
        "wall_s": statistics.median(wall[counted]), "cpu_s": statistics.median(cpu[counted]), "reader": report.reader, "buildings": rows,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
    }))  # fmt: skip


def ours(path: Path, runs: int) -> dict[str, Any]:
    """Median seconds after a warm-up, and peak memory, of a fresh process."""
    command = [sys.executable, __file__, "--child", path, "--runs", str(runs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


_PEER = """
import sys, time, zipfile
from plateaukit.readers.citygml.reader import CityGMLReader
from plateaukit.exporters.geojson2.writer import GeoJSONWriter
from plateaukit.exporters.parallel_writer import ParallelWriter
if __name__ == "__main__":
    names = ["/" + n for n in zipfile.ZipFile(sys.argv[1]).namelist() if n.endswith(".gml")]
    begun = time.perf_counter()
    files = CityGMLReader().scan_files(names, zipfile=sys.argv[1])
    ParallelWriter(GeoJSONWriter).transform(files, sys.argv[2], seq=False, split=1, altitude=True)
    print("seconds", time.perf_counter() - begun)
"""


def plateaukit(path: Path, source: Path, work: Path) -> float | str:
    """Seconds that plateaukit takes to GeoJSON, or why it could not be measured."""
    home = BENCH / "plateaukit"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    have = subprocess.run([python, "-c", "import plateaukit"], capture_output=True, check=False)
    if have.returncode:
        got = subprocess.run(
            [python, "-m", "pip", "install", "-q", PLATEAUKIT],
            capture_output=True,
            text=True,
            check=False,
        )
        if got.returncode:
            return f"not installed: {got.stderr.strip().splitlines()[-1] if got.stderr.strip() else 'pip failed'}"
    archive = work / "peer.zip"
    lists = _codelists(source)
    used = set(re.findall(r'codeSpace="[^"]*/([^"/]+\.xml)"', source.read_text(encoding="utf-8")))
    empty = '<gml:Dictionary xmlns:gml="http://www.opengis.net/gml"><gml:name>x</gml:name></gml:Dictionary>'
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as out:
        out.write(path, "udx/bldg/" + source.name)
        for name in sorted(used):
            out.writestr(
                "codelists/" + name,
                lists[name].read_text(encoding="utf-8") if name in lists else empty,
            )
    script = work / "peer.py"
    script.write_text(_PEER, encoding="utf-8")
    done = subprocess.run(
        [python, script, archive, work / "peer.geojson"],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    found = re.search(r"^seconds ([\d.]+)", done.stdout, re.M)
    if done.returncode or found is None:
        return f"failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
    return float(found[1])


def _codelists(source: Path) -> dict[str, Path]:
    for parent in source.parents:
        if (parent / "codelists").is_dir():
            return {p.name: p for p in (parent / "codelists").glob("*.xml")}
    return {}


def measure(
    *, megabytes: float, runs: int, large: bool, peers: bool, chosen: Path | None = None
) -> dict[str, Any]:
    """All figures of one run."""
    with tempfile.TemporaryDirectory(prefix="citymap-bench-") as folder:
        work = Path(folder)
        source, what = (chosen, chosen.name) if chosen else sample(work)
        path = work / "replicated_bldg_6697_op.gml"
        copies = replicate(source, path, megabytes)
        size = path.stat().st_size / 1e6
        name, floor_s, buildings = floor(path, runs)
        us = ours(path, runs)
        if us["buildings"] != buildings:
            raise ValueError(f"ours read {us['buildings']} of {buildings} buildings")
        result = {
            "input": what, "copies": copies, "mb": round(size, 1), "buildings": buildings, "reader": us["reader"],
            "floor": name, "floor_mb_s": size / floor_s, "ours_mb_s": size / us["wall_s"],
            "ours_mb_s_per_core": size / us["cpu_s"], "ours_buildings_s": buildings / us["wall_s"],
            "share_of_floor_wall": floor_s / us["wall_s"], "share_of_floor_per_core": floor_s / us["cpu_s"],
            "peak_mb": us["peak_mb"],
        }  # fmt: skip
        if peers:
            peer = plateaukit(path, source, work)
            if isinstance(peer, float):
                result |= {"plateaukit_mb_s": size / peer, "times_plateaukit": peer / us["wall_s"]}
            else:
                result["plateaukit"] = peer
        if large:
            path.unlink()
            replicate(source, path, 1000)
            big = ours(path, 0)
            result |= {
                "large_mb": path.stat().st_size / 1e6,
                "large_peak_mb": big["peak_mb"],
                "large_s": big["wall_s"],
            }
    return result


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mb", type=float, default=99)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--source", type=Path, help="the CityGML file to replicate")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        child(given.child, given.runs)
        return {}
    result = measure(
        megabytes=given.mb,
        runs=given.runs,
        large=given.large,
        peers=given.peers,
        chosen=given.source,
    )
    if given.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        print("P1 CityGML → GeoParquet")
        for key, value in result.items():
            print(f"  {key:26} {value:,.2f}" if isinstance(value, float) else f"  {key:26} {value}")
        print("  target: share_of_floor_per_core ≥ 0.50, times_plateaukit ≥ 8, large_peak_mb ≤ 300")
    return result


if __name__ == "__main__":
    main()
