"""The looks of report.html: one page without scripts or anything to fetch, on a wide screen and on a telephone."""

from html import escape

from celebahq.files import printable

_STYLE = """
:root { --ink: #1d2733; --soft: #66717f; --line: #e2e6ea; --paper: #fff; --back: #f5f6f8; --accent: #2f6f9f;
  --warn: #c2703d; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #98a3af; --line: #2d353e; --paper: #1a2027;
  --back: #12161b; --accent: #6fb1de; --warn: #dd9a6b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 60px; }
header h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere; }
header p { color: var(--soft); margin: 2px 0 20px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px;
  margin: 0 0 18px; }
h2 { font-size: 17px; margin: 0 0 4px; }
h3 { font-size: 15px; margin: 20px 0 6px; font-weight: 600; }
h3 b { color: var(--warn); font-variant-numeric: tabular-nums; margin-right: 6px; }
.about { color: var(--soft); margin: 0 0 14px; max-width: 75ch; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px; margin: 0 0 18px; }
.numbers div { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.numbers b { display: block; font-size: 25px; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; }
.numbers span { color: var(--soft); font-size: 13px; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); gap: 8px; }
figure { margin: 0; min-width: 0; }
.sheet img { width: 100%; aspect-ratio: 1; display: block; border-radius: 5px; }
figcaption { color: var(--soft); font-size: 11.5px; line-height: 1.35; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; font-variant-numeric: tabular-nums; }
.strip { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 1.2fr) minmax(0, 1fr); gap: 10px;
  align-items: center; padding: 12px 0; border-top: 1px solid var(--line); }
.strip.of-5 { grid-template-columns: 1.2fr .8fr .8fr 1.2fr 1fr; }
.strip.of-6 { grid-template-columns: 1.2fr .8fr .8fr .8fr 1.2fr 1fr; }
.strip img { max-width: 100%; max-height: 260px; display: block; margin: 0 auto; border-radius: 5px; }
.strip figcaption { text-align: center; margin-top: 4px; }
.strip p { grid-column: 1 / -1; margin: 0; font-size: 12.5px; color: var(--soft); overflow-wrap: anywhere; }
.rejects { display: flex; flex-wrap: wrap; gap: 12px; }
.rejects figure { width: 150px; }
.rejects .image { height: 112px; display: flex; align-items: center; justify-content: center; overflow: hidden;
  background: var(--back); border-radius: 5px; color: var(--soft); font-size: 12px; }
.rejects img { max-width: 100%; max-height: 100%; display: block; }
.rejects figcaption, .pairs figcaption { white-space: normal; overflow-wrap: anywhere; }
.pairs { display: flex; flex-wrap: wrap; gap: 14px; }
.pairs figure { width: 150px; }
.pairs .two { display: grid; grid-template-columns: 1fr 1fr; gap: 4px; }
.pairs img { width: 100%; display: block; border-radius: 5px; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 11px; font-family: inherit; }
svg .axis { stroke: var(--line); }
svg .kept { fill: var(--accent); }
svg .other { fill: var(--warn); }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin: 0 5px 0 0; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
td { padding: 4px 14px 4px 0; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; color: var(--soft); width: 1%; }
pre { background: var(--back); border-radius: 6px; padding: 10px 12px; overflow-x: auto; font-size: 13px;
  margin: 0 0 12px; }
@media (max-width: 640px) {
  main { padding: 16px 10px 40px; }
  section { padding: 14px 12px; }
  .sheet { grid-template-columns: repeat(auto-fill, minmax(84px, 1fr)); gap: 6px; }
  .strip { gap: 6px; }
  .rejects figure, .pairs figure { width: calc(50% - 6px); }
}
"""


def page(title: str, marker: str, body: str) -> str:
    """Return the whole page. `marker` tells whose report it is to a later build."""
    # The policy makes the browser refuse anything that would leave this file.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="celebahq-build" content="{text(marker)}">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(title)}</title>
<style>{_STYLE}</style>
</head>
<body><main>
{body}
</main></body>
</html>
"""


def text(value: object) -> str:
    """Return anything as text that is safe between tags and in attributes, with names of any bytes made printable."""
    return escape(printable(value), quote=True)


def section(title: str, about: str, content: str) -> str:
    return f'<section>\n<h2>{text(title)}</h2>\n<p class="about">{text(about)}</p>\n{content}\n</section>'


def figure(address: str, caption: str, title: str) -> str:
    image = f'<img src="{address}" alt="{text(title)}" loading="lazy">'
    return f'<figure title="{text(title)}">{image}<figcaption>{text(caption)}</figcaption></figure>'


def histogram(kept: list[float], others: list[float], num_bins: int = 40) -> str:
    """Return an SVG histogram of scores, the kept ones in one color, on top of them the others in another."""
    width, height, base, left = 900, 230, 200, 40
    low, high = min([*kept, *others]), max([*kept, *others])
    span = (high - low) or 1.0
    counts = [[0] * num_bins, [0] * num_bins]
    for series, values in enumerate((kept, others)):
        for value in values:
            counts[series][min(int((value - low) / span * num_bins), num_bins - 1)] += 1
    tallest = max(a + b for a, b in zip(*counts, strict=True))
    step = (width - left - 10) / num_bins

    bars = []
    for i, (n_kept, n_others) in enumerate(zip(*counts, strict=True)):
        y = base
        for n, name in ((n_kept, "kept"), (n_others, "other")):
            if n:
                tall = n / tallest * (base - 15)
                y -= tall
                x = left + i * step
                bars.append(
                    f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{step - 1.5:.1f}" height="{tall:.1f}"/>'
                )
    ticks = "".join(
        f'<text x="{left + k / 4 * (width - left - 10):.0f}" y="{base + 18}" '
        f'text-anchor="{("start", "middle", "middle", "middle", "end")[k]}">{low + span * k / 4:.3f}</text>'
        for k in range(5)
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="Histogram of quality scores">'
        f'<line class="axis" x1="{left}" y1="{base}" x2="{width - 10}" y2="{base}"/>'
        f'<text x="{left - 6}" y="24" text-anchor="end">{tallest}</text>'
        f'<text x="{left - 6}" y="{base}" text-anchor="end">0</text>{"".join(bars)}{ticks}</svg>'
    )
