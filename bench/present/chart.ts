/** Charts as SVG text: bars of one figure, and lines over a logarithmic axis. */

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Shown in the colour of the project. */
  readonly ours: boolean;
}

export interface Point {
  readonly at: number;
  readonly value: number;
}

const WIDTH = 720;
const FONT = "font-family='system-ui, sans-serif' font-size='13'";
const INK = "#24292f";
const FAINT = "#d0d7de";
const OURS = "#0969da";
const OTHERS = "#8c959f";

/** One horizontal bar for each, in the order given, with its value at the end. */
export function drawBars(title: string, bars: readonly Bar[]): string {
  const [left, top, step] = [240, 44, 26];
  const most = Math.max(...bars.map(({ value }) => value));
  // Room for the value after the longest bar.
  const scale = (WIDTH - left - 70) / most;
  const drawn = bars.map(({ label, value, ours }, index) => {
    const y = top + index * step;
    const length = (value * scale).toFixed(1);
    return [
      text(left - 8, y + 14, label, "end"),
      `<rect x='${left}' y='${y}' width='${length}' height='18' fill='${ours ? OURS : OTHERS}'/>`,
      text(Number((left + value * scale + 6).toFixed(1)), y + 14, toTick(value), "start"),
    ].join("\n");
  });
  return frame(title, top + bars.length * step + 10, drawn);
}

/** One line from point to point; the horizontal axis is logarithmic, the vertical one begins at nothing. */
export function drawLine(title: string, axis: string, points: readonly Point[]): string {
  const [left, right, top, bottom] = [64, WIDTH - 40, 56, 276];
  const most = toCeiling(Math.max(...points.map(({ value }) => value)));
  const logs = points.map(({ at }) => Math.log10(at));
  const [first, last] = [Math.min(...logs), Math.max(...logs)];
  const toX = (at: number) => left + ((Math.log10(at) - first) / (last - first || 1)) * (right - left);
  const toY = (value: number) => bottom - (value / most) * (bottom - top);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const y = toY(most * share).toFixed(1);
    const line = `<line x1='${left}' y1='${y}' x2='${right}' y2='${y}' stroke='${FAINT}'/>`;
    return `${line}\n${text(left - 8, Number(y) + 4, toTick(most * share), "end")}`;
  });
  const path = points.map(({ at, value }) => `${toX(at).toFixed(1)},${toY(value).toFixed(1)}`).join(" ");
  const marks = points.map(({ at, value }) => {
    const [x, y] = [toX(at).toFixed(1), toY(value).toFixed(1)];
    return [
      `<circle cx='${x}' cy='${y}' r='4' fill='${OURS}'/>`,
      text(Number(x), Number(y) - 9, toTick(value), "middle"),
      text(Number(x), bottom + 18, at.toLocaleString("en"), "middle"),
    ].join("\n");
  });
  const line = `<polyline points='${path}' fill='none' stroke='${OURS}' stroke-width='2'/>`;
  return frame(title, bottom + 44, [...ticks, line, ...marks, text((left + right) / 2, bottom + 36, axis, "middle")]);
}

function frame(title: string, height: number, parts: readonly string[]): string {
  const size = `width='${WIDTH}' height='${height}' viewBox='0 0 ${WIDTH} ${height}'`;
  return [
    `<svg xmlns='http://www.w3.org/2000/svg' ${size} role='img' ${FONT}>`,
    `<title>${toXml(title)}</title>`,
    // Pages are light or dark; a chart with its own ground reads on both.
    `<rect width='${WIDTH}' height='${height}' fill='#ffffff'/>`,
    text(16, 26, title, "start", "font-weight='600'"),
    ...parts,
    "</svg>\n",
  ].join("\n");
}

const text = (x: number, y: number, content: string, anchor: "start" | "middle" | "end", more = ""): string =>
  `<text x='${x}' y='${y}' fill='${INK}' text-anchor='${anchor}' ${more}>${toXml(content)}</text>`;

const toXml = (content: string): string =>
  content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("'", "&#39;");

/** Three leading digits, or the whole number. */
function toTick(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}

/** The next of 1, 2, 4, 5, 8, 10 times a power of ten: its quarters are short numbers. */
function toCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 5, 8, 10].find((step) => step * power >= value) ?? 10) * power;
}
