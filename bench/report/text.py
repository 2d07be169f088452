# SPDX-License-Identifier: BSD-2-Clause
"""The report for a terminal."""

import shutil
import sys
import time


class Progress:
    """One line for each step: overwritten on a terminal, elsewhere one of them a minute."""

    def __init__(self, stream=sys.stderr):
        self.stream = stream
        self.live = stream.isatty()
        self.begin = time.monotonic()
        self.minutes = 0

    def __call__(self, step):
        minutes = int((time.monotonic() - self.begin) / 60)
        line = f"{minutes} min, {step}"
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write(f"\r\033[K{line[:width]}")
            self.stream.flush()
        elif minutes > self.minutes:
            self.minutes = minutes
            print(line, file=self.stream, flush=True)

    def done(self):
        if self.live:
            self.stream.write("\r\033[K")
            self.stream.flush()


def plain(number):
    """Three digits that count, never an exponent."""
    if number is None:
        return "–"
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}" if abs(number) >= 1e-4 or number == 0 else f"{number:.6f}"


def time_of(seconds):
    if seconds is None:
        return "–"
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{plain(seconds * factor)} {unit}"
    return f"{plain(seconds * 1e9)} ns"


def per_task(cell):
    if not cell["tasks"] or cell["seconds"] is None:
        return "–"
    return plain(1e9 * cell["seconds"] / cell["tasks"])


def spread_of(cell):
    if not cell["seconds"]:
        return "–"
    return f"{100 * (cell['seconds_max'] - cell['seconds_min']) / cell['seconds']:.0f} %"


COLUMNS = ("system", "workers", "size", "median", "spread", "ns/task", "speed-up", "CPU", "RSS MiB",
           "runs", "")


def row_of(cell, one_worker):
    """One line of a kernel's table."""
    speedup = "–"
    if one_worker and cell["seconds"] and one_worker["size"] == cell["size"]:
        speedup = f"{one_worker['seconds'] / cell['seconds']:.2f}"
    state = "" if cell["ok"] else "; ".join(cell["errors"]) or "no result"
    return (cell["program"], str(cell["workers"]), str(cell["size"]), time_of(cell["seconds"]),
            spread_of(cell), per_task(cell), speedup, time_of(cell["cpu_seconds"]),
            f"{cell['rss_kib'] / 1024:.1f}", str(cell["runs"]), state)


def kernel_rows(report, kernel):
    cells = [c for c in report["cells"] if c["kernel"] == kernel]
    ones = {c["program"]: c for c in cells if c["workers"] == 1 and c["seconds"]}
    return [row_of(c, ones.get(c["program"])) for c in cells]


# ---- duels ------------------------------------------------------------------------------------


def with_unit(value, unit):
    return f"{plain(value)} {'µs' if unit == 'us' else unit}".removesuffix(" -")


def measure_of(answer, quantity):
    """One quantity of a contestant, with its unit."""
    return with_unit(answer.median_of(quantity), answer.quantities[quantity][0])


def spread_of_quantity(quantity):
    if not quantity or not quantity["median"] or len(quantity["values"]) < 2:
        return "–"
    return f"{100 * (quantity['max'] - quantity['min']) / quantity['median']:.0f} %"


def duel_groups(report):
    """(section, duel, answers) of every duel with an answer, in order."""
    for section in report["duels"]["sections"]:
        for duel in section["duels"]:
            answers = [a for a in report["duels"]["answers"]
                       if (a["section"], a["duel"]) == (section["name"], duel["name"])]
            if answers:
                yield section, duel, answers


def duel_table(duel, answers):
    """(head, rows): one row for each contestant, one column for each quantity."""
    names = list(dict.fromkeys(n for a in answers for n in a["quantities"]))
    names.sort(key=lambda n: duel["figures"].index(n) if n in duel["figures"] else len(names))
    size = any(a["size"] for a in answers)
    head = ("contestant", *(["size"] if size else []), *names, "spread", "samples", "")
    return head, [duel_row(a, names, size) for a in answers]


def duel_row(answer, names, size):
    found = answer["quantities"]
    figure = found.get(answer["figure"])
    return (answer["contestant"], *([f"{answer['size']:,}"] if size else []),
            *(with_unit(found[n]["median"], found[n]["unit"]) if n in found else "–"
              for n in names),
            spread_of_quantity(figure), str(len(figure["values"])) if figure else "0",
            "; ".join(answer["errors"]) or ("a bound, not a rival" if answer["reference"] else ""))


def left_out(section):
    """One line on the contestants that are not here; empty if all are."""
    if not section["missing"]:
        return ""
    return "left out: " + ", ".join(f"{name} ({why})"
                                    for name, why in section["missing"].items())


def render_duels(report):
    lines, last = [], None
    for section, duel, answers in duel_groups(report):
        if section["name"] != last:
            last = section["name"]
            lines += ["", section["title"]]
            lines += [f"  {left_out(section)}"] if section["missing"] else []
        head, rows = duel_table(duel, answers)
        lines += ["", f"{section['name']}.{duel['name']}: {duel['title']}"]
        lines += format_table([head, *rows])
    return lines


# ---- the whole --------------------------------------------------------------------------------


def format_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        words = [row[0].ljust(widths[0])]
        words += [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1])]
        lines.append(("  " + "  ".join(words) + "  " + row[-1]).rstrip())
    return lines


def render(report):
    """The whole report as text."""
    machine = report["machine"]
    lines = [f"weft scaling report, {report['date']}, {report['mode']}, commit "
             f"{machine['commit']}",
             f"{machine['cpu']}, {machine['cpus_usable']} usable processors, {machine['kernel']}",
             ""]
    if report["headline"]:
        lines += [report["headline"], ""]
    for reason in report["busy"]:
        lines.append(f"no headline: {reason}")
    for note in report["notes"]:
        lines.append(f"note: {note}")
    for kernel in report["kernels"]:
        lines += ["", f"{kernel['kernel']}: {kernel['title']}"]
        lines += format_table([COLUMNS, *kernel_rows(report, kernel["kernel"])])
    lines += render_duels(report)
    rows = [(m["what"], value_of(m), limit_of(m), m["verdict"]) for m in report["marks"]]
    if rows:
        lines += ["", "marks", *format_table([("", "measured", "limit", ""), *rows])]
    lines += ["", "where weft loses"]
    lines += [f"  {loss}" for loss in report["losses"]] or ["  nowhere in these measurements"]
    return "\n".join(lines) + "\n"


def limit_of(mark):
    if mark["limit"] is None:
        return "–"
    return f"{'<=' if mark['at_most'] else '>='} {plain(mark['limit'])}{mark['unit']}"


def value_of(mark):
    return "–" if mark["value"] is None else f"{plain(mark['value'])}{mark['unit']}"
