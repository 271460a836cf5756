// A line over the last two minutes, as SVG: scales itself, and says its numbers in words as well.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 140;

/** A graph of values that come one after the other. */
export interface Graph {
  readonly element: HTMLElement;
  /** Shows `values`, the newest last; absent ones leave a gap in the line. */
  update(values: readonly (number | undefined)[]): void;
}

/** Makes a graph with room for `length` values. `format` writes one of them, in units that are `base` times each other. */
export function graph(title: string, length: number, base: number, format: (value: number) => string): Graph {
  const element = document.createElement("figure");
  element.className = "graph";
  const caption = document.createElement("figcaption");
  const heading = document.createElement("strong");
  heading.textContent = title;
  const words = document.createElement("span");
  caption.append(heading, words);
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "line" });
  for (const y of [1, HEIGHT / 2, HEIGHT - 1])
    drawing.append(svg("path", { class: "grid", d: `M0 ${y}H${WIDTH}` }));
  drawing.append(area, line);
  const top = document.createElement("span");
  top.className = "top";
  const frame = document.createElement("div");
  frame.className = "frame";
  frame.append(drawing, top);
  element.append(caption, frame);
  return {
    element,
    update(values) {
      const present = values.filter((value) => value !== undefined);
      const peak = Math.max(...present, 0);
      const ceiling = niceCeiling(peak, base);
      const x = (index: number): number => ((length - values.length + index) / (length - 1)) * WIDTH;
      const y = (value: number): number => HEIGHT - 1 - (value / ceiling) * (HEIGHT - 2);
      const runs = runsOf(values);
      const path = (run: readonly (readonly [number, number])[]): string =>
        run
          .map(([index, value], at) => `${at === 0 ? "M" : "L"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`)
          .join("");
      line.setAttribute("d", runs.map(path).join(""));
      area.setAttribute(
        "d",
        runs
          .map(
            (run) =>
              `${path(run)}L${x(run.at(-1)![0]).toFixed(1)} ${HEIGHT}L${x(run[0]![0]).toFixed(1)} ${HEIGHT}Z`,
          )
          .join(""),
      );
      const now = values.at(-1);
      const mean = present.length === 0 ? 0 : present.reduce((sum, value) => sum + value, 0) / present.length;
      top.textContent = format(ceiling);
      words.textContent =
        present.length === 0
          ? "nothing yet"
          : `now ${now === undefined ? "–" : format(now)} · mean ${format(mean)} · peak ${format(peak)}`;
      drawing.setAttribute("aria-label", `${title}, the last two minutes: ${words.textContent}`);
    },
  };
}

/** Stretches of values without a gap, each with its place. */
function runsOf(values: readonly (number | undefined)[]): [number, number][][] {
  const runs: [number, number][][] = [];
  let isOpen = false;
  values.forEach((value, index) => {
    if (value === undefined) {
      isOpen = false;
      return;
    }
    if (!isOpen) runs.push([]);
    isOpen = true;
    runs.at(-1)!.push([index, value]);
  });
  return runs;
}

/** 1, 2 or 5 times a power of ten of the largest unit in `value`, and no less than `value`. */
function niceCeiling(value: number, base: number): number {
  if (value <= 0) return 1;
  const unit = base ** Math.floor(Math.log(value) / Math.log(base));
  const power = 10 ** Math.floor(Math.log10(value / unit));
  return unit * power * ([1, 2, 5].find((step) => step * power * unit >= value) ?? 10);
}

function svg(name: string, attributes: Readonly<Record<string, string>>): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
