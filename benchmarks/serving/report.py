"""The figures as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.serving.figures import Figures, at, median

COST = (
    "",
    "CPU µs",
    "range",
    "over bare, µs",
    "× bare",
    "per s",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "errors",
)
MODELS = ("small", "digits", "imagenet")


def written(result: Mapping[str, Any]) -> str:
    """The whole result as a page."""
    parts = ["# Serving", *_about(result)]
    for name, figures in result.get("scenarios", {}).items():
        parts += [f"## {name}", *(_model(figures) if name in MODELS else _loads(figures))]
    if result.get("goals"):
        rows = [
            (g["what"], g["measured"], g["goal"], "yes" if g["met"] else "**no**")
            for g in result["goals"]
        ]
        parts += ["## Goals", _table(("", "measured", "goal", "met"), rows)]
    for name, points in result.get("growth", {}).items():
        parts += [f"## Growing: {name}", _growth(name, points)]
    return "\n\n".join(parts) + "\n"


def _about(result: Mapping[str, Any]) -> Iterator[str]:
    machine = result["machine"]
    yield (
        f"{machine['processor']}, {machine['processors']} processors, {machine['system']}; Python "
        f"{machine['python']}, ONNX Runtime {machine['onnxruntime']}; commit {machine['commit']}; "
        f"load average before {machine['load_before']}, others had {machine['others_share']:.0%} "
        f"of the processors meanwhile. Rounds: {result['rounds']}, loads of {result['seconds']} s."
    )
    if machine["busy"]:
        yield (
            "**The machine was busy before this run: the figures say more of that than of the "
            "server.**"
        )
    if result["settings"]:
        settings = ", ".join(f"`{name}={value}`" for name, value in result["settings"].items())
        yield f"Settings: {settings}."


def _model(figures: Figures) -> Iterator[str]:
    rows = [_alone(figures, kind, batch) for kind in ("bare", "naive") for batch in ("1", "8")]
    rows += [_load(load, _title(name)) for name, load in figures["server"].items()]
    yield _table(COST, rows)
    idle = {
        name: median(figures, f"idle/{name}_ms")
        for name in ("bare", "bare_threads", "server", "added")
    }
    yield (
        f"A single request on an idle server: {_shown(idle['server'])} ms, the bare run "
        f"{_shown(idle['bare'])} ms ({_shown(idle['bare_threads'])} ms with all processors), "
        f"added {_shown(idle['added'])} ms. Cold start {_shown(median(figures, 'cold_start_s'))} "
        f"s. {_memory(figures)}"
    )
    yield from _complaints(figures)


def _loads(figures: Figures) -> Iterator[str]:
    """A scenario of loads beside bare runs of its own: with a part for each layer, or without
    parts.
    """
    rows: list[tuple[Any, ...]] = []
    for title, part in _parts(figures):
        bare = at(part, "bare/cpu_us")
        rows.append((f"{title}, bare", bare["median"], _range(bare)))
        rows += [_load(load, f"{title}, {_title(name)}") for name, load in part["server"].items()]
    yield _table(COST, rows)
    yield _memory(figures)
    yield from _complaints(figures)


def _parts(figures: Figures) -> Iterator[tuple[str, Figures]]:
    """The figures of each layer with its title, or all of them where there are no layers."""
    layers = figures.get("layers")
    if not layers:
        yield "mixture", figures
        return
    for name, layer in layers.items():
        yield f"{name}: `{layer['name']}` {list(layer['output_shape'])}", figures[name]


def _alone(figures: Figures, kind: str, batch: str) -> tuple[Any, ...]:
    cpu = at(figures, f"{kind}/{batch}/cpu_us")
    title = f"{'bare model' if kind == 'bare' else 'naive loop'}, batch {batch}"
    reference = int(batch) == figures["reference_batch"] and kind == "bare"
    return (
        f"{title} (reference)" if reference else title,
        cpu["median"],
        _range(cpu),
        median(figures, f"{kind}/{batch}/added_us"),
    )


def _load(load: Figures, title: str) -> tuple[Any, ...]:
    names = ("added_us", "ratio", "per_second", "p50_ms", "p90_ms", "p99_ms")
    errors = load["errors"]["rounds"]
    return (
        title,
        load["cpu_us"]["median"],
        _range(load["cpu_us"]),
        *(median(load, name) for name in names),
        sum(errors),
    )


def _title(name: str) -> str:
    connections, _, fresh = name.partition("-")
    plural = "" if connections == "1" else "s"
    pictures = ", every picture new" if fresh else ""
    return f"server, {connections} connection{plural}{pictures}"


def _memory(figures: Figures) -> str:
    largest, every = (median(figures, f"memory/loaded/{name}_mb") for name in ("largest", "all"))
    first = median(figures, "memory/started/largest_mb")
    before = f"{_shown(first)} MB after the first answer; " if first else ""
    return (
        f"Memory (PSS): {before}after the loads {_shown(largest)} MB in the largest process, "
        f"{_shown(every)} MB in all."
    )


def _complaints(figures: Figures) -> Iterator[str]:
    if figures["complaints"]:
        complaints = "\n".join(f"- {complaint}" for complaint in figures["complaints"][:10])
        yield f"What went wrong, the first ten:\n\n{complaints}"


def _growth(name: str, points: Sequence[Mapping[str, float]]) -> str:
    heads = (name, "CPU µs", "per s", "p50 ms", "p90 ms", "p99 ms", "errors")
    keys = ("size", "cpu_us", "per_second", "p50_ms", "p90_ms", "p99_ms", "errors")
    return _table(heads, [tuple(point[key] for key in keys) for point in points])


def _range(figure: Mapping[str, Any]) -> str:
    return f"{_shown(figure['least'])} – {_shown(figure['most'])}"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "" if value is None else str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [list(heads), ["---", *["---:"] * (len(heads) - 1)]]
    lines += [[_shown(cell) for cell in row] + [""] * (len(heads) - len(row)) for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
