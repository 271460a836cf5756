// What was measured, beside what it is to reach: as text for whoever waits, as a page for readers.

import { cpus, release, type } from "node:os";
import type { Plan } from "./programs.js";

/** What a figure is to reach. */
export type Goal =
  | { readonly atMost: number; readonly of: string }
  | { readonly atLeast: number; readonly of: string };

/** One number. */
export interface Figure {
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** What it is held against, taken in the same run. */
  readonly beside?: { readonly what: string; readonly value: number };
  /** On the ratio where there is something beside it, otherwise on the value. */
  readonly goal?: Goal;
  readonly note?: string;
  /** What the figure is made of, for readers who ask why it is not better. */
  readonly why?: string;
}

/** The figures of one row, or why there are none. */
export interface Outcome {
  readonly row: string;
  readonly figures: readonly Figure[];
  /** Processors that everybody else on the machine used meanwhile. */
  readonly others: number;
  readonly problem?: string;
}

const COLUMNS = ["row", "metric", "value", "beside it", "ratio", "goal", "met", "note"] as const;

function digits(value: number): string {
  if (value === 0) return "0";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** What a goal is compared with. */
function ratioOf({ value, beside }: Figure): number | undefined {
  return beside === undefined ? undefined : value / beside.value;
}

/** Whether a figure reaches its goal; `undefined` where it has none. */
export function isMet(figure: Figure): boolean | undefined {
  const { goal, value } = figure;
  if (goal === undefined) return undefined;
  const judged = ratioOf(figure) ?? value;
  return "atMost" in goal ? judged <= goal.atMost : judged >= goal.atLeast;
}

function cells(row: string, figure: Figure): readonly string[] {
  const { metric, value, unit, beside, goal, note = "" } = figure;
  const ratio = ratioOf(figure);
  const met = isMet(figure);
  return [
    row,
    metric,
    `${digits(value)} ${unit}`,
    beside === undefined ? "" : `${beside.what}: ${digits(beside.value)} ${unit}`,
    ratio === undefined ? "" : ratio.toFixed(2),
    goal === undefined
      ? ""
      : "atMost" in goal
        ? `≤ ${goal.atMost} ${goal.of}`
        : `≥ ${goal.atLeast} ${goal.of}`,
    met === undefined ? "" : met ? "yes" : "NO",
    note,
  ];
}

function lines(outcomes: readonly Outcome[]): readonly (readonly string[])[] {
  return outcomes.flatMap(({ row, figures, problem }) =>
    problem === undefined
      ? figures.map((figure) => cells(row, figure))
      : [[row, "not measured", "", "", "", "", "NO", problem]],
  );
}

/** The same width for all cells of a column. */
function aligned(all: readonly (readonly string[])[]): readonly (readonly string[])[] {
  const widths = COLUMNS.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  return all.map((line) => line.map((cell, column) => cell.padEnd(widths[column]!)));
}

/** A table for terminals. */
export function table(outcomes: readonly Outcome[]): string {
  return aligned([COLUMNS, ...lines(outcomes)])
    .map((line) => line.join("  ").trimEnd())
    .join("\n");
}

/** A table in Markdown. */
export function markdown(outcomes: readonly Outcome[]): string {
  const row = (line: readonly string[]): string => `| ${line.join(" | ")} |`;
  const [head, ...rest] = aligned([COLUMNS, ...lines(outcomes)]);
  const rule = head!.map((cell) => "-".repeat(cell.length));
  return [head!, rule, ...rest].map(row).join("\n");
}

/** Why goals were missed: a line for each, as far as the same run tells. */
export function reasons(outcomes: readonly Outcome[]): readonly string[] {
  return outcomes.flatMap(({ row, figures, others }) =>
    figures
      .filter((figure) => isMet(figure) === false)
      .map(({ metric, why }) => {
        const busy = `everybody else on the machine used ${others.toFixed(2)} of its ${cpus().length} processors meanwhile`;
        return `\`${row}\`, ${metric}: ${why === undefined ? busy : `${why}; ${busy}`}.`;
      }),
  );
}

/** Where it was measured, with what. */
export function machine(browser: string | undefined, { isQuick, isDebug }: Plan): string {
  const all = cpus();
  const parts = [
    `${all.length} × ${all[0]?.model.trim() ?? "unknown processor"}`,
    `${type()} ${release()}`,
    `Node.js ${process.versions.node}`,
    ...(browser === undefined ? [] : [`Chromium ${browser}`]),
  ];
  const doubts = [...(isQuick ? ["a quick run"] : []), ...(isDebug ? ["a debug build of the server"] : [])];
  return `${parts.join(", ")}${doubts.length === 0 ? "" : `; not a result: ${doubts.join(", ")}`}`;
}
