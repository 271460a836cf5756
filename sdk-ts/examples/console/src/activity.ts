// How fast a session speaks, how far away its server is, and who says most.

import { el, setText } from "./dom.js";
import { bytes, commandLine, latency } from "./format.js";
import { graph } from "./graph.js";
import { MAX_SAMPLES, type SessionModel } from "./session.js";

const LOUDEST = 8;

/** The view; {@link ActivityView.update} shows what a session has now. */
export class ActivityView {
  readonly element = el("section", { class: "activity", attrs: { "aria-label": "Activity" } });
  readonly #output = graph("Output of all processes", MAX_SAMPLES, 1024, (value) => `${bytes(value)}/s`);
  readonly #latency = graph("Latency of one question", MAX_SAMPLES, 1000, latency);
  readonly #rows = el("tbody");
  readonly #none = el(
    "p",
    { class: "hint" },
    "No process has said anything yet. Start one to see how fast it speaks.",
  );
  readonly #table: HTMLElement;

  constructor() {
    const head = el(
      "tr",
      {},
      el("th", { props: { scope: "col" } }, "Process"),
      el("th", { class: "number" }, "Output"),
    );
    this.#table = el(
      "div",
      { class: "card" },
      el("table", {}, el("caption", {}, "Who said most"), el("thead", {}, head), this.#rows),
    );
    this.element.append(this.#output.element, this.#latency.element, this.#table, this.#none);
  }

  update(session: SessionModel): void {
    this.#output.update(session.samples.map(({ bytesPerSecond }) => bytesPerSecond));
    this.#latency.update(session.samples.map(({ latencyMs }) => latencyMs));
    const loudest = session.processes
      .filter(({ outputBytes }) => outputBytes > 0)
      .sort((a, b) => b.outputBytes - a.outputBytes)
      .slice(0, LOUDEST);
    this.#table.hidden = loudest.length === 0;
    this.#none.hidden = loudest.length > 0;
    while (this.#rows.children.length > loudest.length) this.#rows.lastElementChild?.remove();
    loudest.forEach(({ argv, outputBytes }, index) => {
      const row =
        this.#rows.children[index] ??
        this.#rows.appendChild(el("tr", {}, el("td"), el("td", { class: "number" })));
      setText(row.children[0]!, commandLine(argv));
      setText(row.children[1]!, bytes(outputBytes));
    });
  }
}
