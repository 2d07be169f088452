# SPDX-License-Identifier: BSD-2-Clause
"""The report as one HTML page that needs nothing else: no script, no font, no network."""

from html import escape

import text

COLOURS = {"weft-gcc": "#0a5", "weft-clang": "#7b3", "tbb-gcc": "#06c", "openmp-gcc": "#c50",
           "openmp-clang": "#a3a"}
SPARE_COLOURS = ("#888", "#b08", "#088", "#860", "#555")

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 68em; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; }
h3 { font-size: 1em; margin: 1.5em 0 0; }
table { border-collapse: collapse; font-size: .85em; margin: .5em 0; }
td, th { padding: .15em .7em; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child, td:last-child, th:last-child { text-align: left; }
.headline { font-size: 1.2em; border-left: 4px solid #0a5; padding-left: .8em; }
.warning { border-left: 4px solid #c50; padding-left: .8em; }
.met { color: #085; } .missed { color: #b30; font-weight: 600; } .fail { color: #b30; }
.scroll { overflow-x: auto; } .small { font-size: .85em; color: #555; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #444; }
"""


def colour_of(program, programs):
    if program in COLOURS:
        return COLOURS[program]
    others = [p for p in programs if p not in COLOURS]
    return SPARE_COLOURS[others.index(program) % len(SPARE_COLOURS)]


# ---- plots ------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 300, 50, 40, 12, 150


def work_time(cell):
    """Seconds that compare across sizes: by the task where tasks are counted."""
    return cell["seconds"] / (cell["tasks"] or 1)


def speed_lines(cells):
    """(program, [(workers, speed)]): the best serial time over the time of the same work."""
    serial = [work_time(c) for c in cells if c["system"] == "serial" and c["ok"]]
    if not serial:
        return []
    lines = {}
    for c in cells:
        if c["ok"] and c["system"] != "serial" and not c["oversubscribed"]:
            lines.setdefault(c["program"], []).append((c["workers"], min(serial) / work_time(c)))
    return [(program, sorted(points)) for program, points in lines.items()]


def nice_step(span):
    """A round distance between about five grid lines."""
    step = 1e-3
    while span / step > 6:
        for factor in (2, 2.5, 2):
            step *= factor
            if span / step <= 6:
                break
    return step


def plot(cells):
    """Speed against workers, with the ideal line; an empty string without any."""
    lines = speed_lines(cells)
    if not lines:
        return ""
    workers = sorted({w for _, points in lines for w, _ in points})
    top = max(max(workers), max(s for _, points in lines for _, s in points)) * 1.05

    def x(w):
        span = (max(workers) - min(workers)) or 1
        return LEFT + (WIDTH - LEFT - RIGHT) * (0.05 + 0.9 * (w - min(workers)) / span)

    def y(s):
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * s / top

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
             'aria-label="speed over workers">', *grid(workers, top, x, y)]
    names = [program for program, _ in lines]
    labels = spread_labels([(y(points[-1][1]), program) for program, points in lines])
    for program, points in lines:
        colour = colour_of(program, names)
        path = " ".join(f"{x(w):.1f},{y(s):.1f}" for w, s in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                     'stroke-width="2"/>')
        parts += [f'<circle cx="{x(w):.1f}" cy="{y(s):.1f}" r="3.5" fill="{colour}">'
                  f"<title>{escape(program)}, {w} workers: {text.plain(s)}</title></circle>"
                  for w, s in points]
        parts.append(f'<text x="{WIDTH - RIGHT + 6}" y="{labels[program] + 4:.1f}" '
                     f'style="fill:{colour}">{escape(program)} {text.plain(points[-1][1])}</text>')
    parts.append("</svg>")
    return "\n".join(parts)


def grid(workers, top, x, y):
    """Axes, grid lines and the line of ideal speed-up."""
    parts = []
    step = nice_step(top)
    for i in range(int(top / step) + 1):
        value = i * step
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" '
                     f'y2="{y(value):.1f}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" '
                     f'text-anchor="end">{value:g}</text>')
    for w in workers:
        parts.append(f'<text x="{x(w):.1f}" y="{HEIGHT - BOTTOM + 18}" '
                     f'text-anchor="middle">{w}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 4}" '
                 'text-anchor="middle">workers</text>')
    ideal = " ".join(f"{x(w):.1f},{y(w):.1f}" for w in workers)
    parts.append(f'<polyline points="{ideal}" fill="none" stroke="#bbb" stroke-dasharray="4 4"/>')
    return parts


def spread_labels(wanted, distance=14):
    """Heights for the labels at the right edge, pushed apart so that none covers another."""
    placed, last = {}, -distance
    for height, name in sorted(wanted):
        last = max(height, last + distance)
        placed[name] = last
    overflow = last - (HEIGHT - BOTTOM)
    if overflow > 0:
        placed = {name: height - overflow for name, height in placed.items()}
    return placed


# ---- the page ---------------------------------------------------------------------------------


def table(rows, head, classes=None):
    """`classes` names a class for each row, or none."""
    out = ['<div class="scroll"><table><tr>', *(f"<th>{escape(h)}</th>" for h in head), "</tr>"]
    for i, row in enumerate(rows):
        name = classes[i] if classes else ""
        out.append(f'<tr class="{name}">' if name else "<tr>")
        out += [f"<td>{escape(str(cell))}</td>" for cell in row]
        out.append("</tr>")
    out.append("</table></div>")
    return "".join(out)


def machine_section(report):
    machine, watch = report["machine"], report["watch"]
    quota = machine["cgroup_quota_cpus"]
    rows = [
        ("processor", machine["cpu"]),
        ("processors", f"{machine['cpus_usable']} usable, {machine['cpus_visible']} visible, "
                       f"{machine['cpus_online']} online; cgroup quota "
                       f"{'none' if quota is None else f'{quota:g}'}"),
        ("memory", f"{machine['memory_kib'] / 2**20:.1f} GiB"),
        ("kernel", machine["kernel"]),
        ("frequency governor", machine["governor"]),
        *((name, version) for name, version in machine["compilers"].items()),
        ("flags", machine["flags"]),
        ("load average", f"{watch['load_before']:.2f} before, {watch['load_after']:.2f} after"),
        ("used by others meanwhile", f"{100 * watch['foreign_share']:.1f} %; taken away by the "
                                     f"hypervisor {100 * watch['steal_share']:.1f} %"),
        ("date", report["date"]),
        ("commit", machine["commit"]),
        ("measured for", f"{watch['seconds']:.0f} s, {report['mode']}"),
    ]
    systems = [(s["program"], s["system"], s["version"], s["compiler"]) for s in report["systems"]]
    return ("<h2>Machine</h2>" + table(rows, ("", "")) +
            "<h3>Systems</h3>" + table(systems, ("program", "system", "version", "compiler")))


def marks_section(report):
    rows, classes = [], []
    for m in report["marks"]:
        rows.append((m["what"], text.value_of(m), text.limit_of(m), m["verdict"]))
        classes.append({True: "met", False: "missed", None: ""}[m["met"]])
    return "<h2>Marks</h2>" + table(rows, ("", "measured", "limit", ""), classes)


def losses_section(report):
    items = "".join(f"<li>{escape(loss)}</li>" for loss in report["losses"])
    return ("<h2>Where weft loses</h2>" +
            (f"<ul>{items}</ul>" if items else "<p>Nowhere in these measurements.</p>"))


def kernel_section(report, kernel):
    name = kernel["kernel"]
    cells = [c for c in report["cells"] if c["kernel"] == name]
    classes = ["" if c["ok"] else "fail" for c in cells]
    out = [f"<h2>{escape(name)}</h2><p>{escape(kernel['title'])}.</p>"]
    if kernel["needs_data"] and report["data"]:
        data = report["data"]
        note = f" {escape(data['note'].capitalize())}." if data["note"] else ""
        out.append(f'<p class="small">Data: {escape(data["title"])}, {data["nodes"]:,} nodes; '
                   f"source: {escape(data['source'])}; licence: {escape(data['licence'])}.{note}"
                   "</p>")
    drawing = plot(cells)
    if drawing:
        out += [drawing, '<p class="small">Speed: time of the fastest serial twin over time of the '
                         "same work. Dashed: as many times as there are workers.</p>"]
    out.append(table(text.kernel_rows(report, name), text.COLUMNS, classes))
    return "\n".join(out)


def duels_section(report):
    out, last = [], None
    for section, duel, answers in text.duel_groups(report):
        if section["name"] != last:
            last = section["name"]
            out.append(f"<h2>{escape(section['title'])}</h2>")
            versions = ", ".join(f"{name}: {version}"
                                 for name, version in section["versions"].items())
            out.append(f'<p class="small">{escape(versions)}</p>')
            if section["missing"]:
                out.append(f'<p class="warning">{escape(text.left_out(section))}</p>')
        out.append(f"<h3>{escape(section['name'])}.{escape(duel['name'])}: "
                   f"{escape(duel['title'])}</h3>")
        head, rows = text.duel_table(duel, answers)
        out.append(table(rows, head, duel_classes(duel, answers)))
    return "".join(out)


def duel_classes(duel, answers):
    """The best of those that are no mere bound is shown as such, and what failed."""
    def value(answer):
        return answer["quantities"][figure]["median"]
    rivals = [a for a in answers if a["ok"] and not a["reference"] and a["figure"]]
    figure = next((f for f in duel["figures"] if any(f in a["quantities"] for a in rivals)), None)
    rivals = [a for a in rivals if figure in a["quantities"]]
    best = (max if duel["more_is_better"] else min)(rivals, key=value, default=None)
    return ["fail" if not a["ok"] else "met" if a is best else "" for a in answers]


def render(report):
    """The whole page."""
    top = [f"<h1>weft: scaling report</h1><p>{escape(report['date'])}, commit "
           f"{escape(report['machine']['commit'])}, {report['mode']}.</p>"]
    if report["headline"]:
        top.append(f'<p class="headline">{escape(report["headline"])}</p>')
    if report["busy"]:
        reasons = "; ".join(report["busy"])
        top.append(f'<p class="warning">No headline, because the machine was busy: '
                   f"{escape(reasons)}. Take the figures as ratios at best.</p>")
    top += [f'<p class="small">{escape(note)}</p>' for note in report["notes"]]
    body = [*top, marks_section(report), losses_section(report), machine_section(report),
            *(kernel_section(report, k) for k in report["kernels"]),
            duels_section(report),
            '<p class="small">Times are medians over all runs; spread is slowest less fastest over '
            "the median; speed-up is against the same program with one worker; ns/task is time "
            "over tasks, work included; every answer has been compared with an oracle.</p>"]
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>weft: scaling report</title><style>{STYLE}</style></head><body>\n" +
            "\n".join(body) + "\n</body></html>\n")
