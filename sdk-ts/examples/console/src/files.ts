// The files of the server's machine: a directory at a time, and a viewer beside it.

import { type Client, fromPathUri } from "codex-exec-server-sdk";
import { arrange, button, el, roving, setText } from "./dom.js";
import { bytes, moment } from "./format.js";
import { recall, remember } from "./memory.js";
import { tell, withdraw } from "./notices.js";
import { FileViewer } from "./viewer.js";

interface Entry {
  readonly name: string;
  readonly kind: "directory" | "file" | "other";
  readonly isSymlink: boolean;
  size?: number;
  modifiedAtMs?: number;
}

/** Rows that are shown; a filter brings out the others. */
const MAX_ROWS = 1000;
/** Files that one question about sizes names. */
const STAT_BATCH = 500;

/** The view; {@link FilesView.use} gives it a machine. */
export class FilesView {
  readonly element = el("section", { class: "files", attrs: { "aria-label": "Files" } });
  readonly #path = el("input", {
    props: { type: "text", name: "path", spellcheck: false, autocomplete: "off" },
    attrs: { "aria-label": "Directory" },
  });
  readonly #filter = el("input", {
    props: { type: "search", placeholder: "Filter by name", spellcheck: false },
    attrs: { "aria-label": "Filter by name" },
  });
  readonly #list = el("ul", { class: "entries", attrs: { "aria-label": "Entries" } });
  readonly #count = el("p", { class: "hint", attrs: { role: "status" } });
  readonly #viewer = new FileViewer(() => this.#closeFile());
  #client: Client | undefined;
  #directory = "/";
  #entries: readonly Entry[] = [];
  /** Ends what is under way for a directory that nobody looks at any more. */
  #reading = new AbortController();

  /** `start` begins a terminal in a directory. */
  constructor(start: (directory: string) => void) {
    const bar = el(
      "form",
      { class: "path" },
      button("↑", () => this.#up(), "", "Parent directory (Backspace)"),
      this.#path,
      el("button", { props: { type: "submit" } }, "Go"),
      button("Reload", () => void this.#show(this.#directory)),
      button("Terminal here", () => start(this.#directory)),
    );
    bar.firstElementChild?.setAttribute("aria-label", "Parent directory");
    bar.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#show(this.#path.value.trim() || "/");
    });
    this.#filter.addEventListener("input", () => this.#render());
    this.#list.addEventListener("keydown", (event) => {
      if (event.key === "Backspace") {
        event.preventDefault();
        this.#up();
      }
    });
    roving(this.#list, "button");
    const listing = el("div", { class: "listing" }, this.#filter, this.#list, this.#count);
    this.element.append(bar, el("div", { class: "panes" }, listing, this.#viewer.element));
  }

  /** Looks at the machine of `client`, where it was looked at last. */
  use(client: Client): void {
    if (this.#client === client) return;
    this.#client = client;
    const { userHomeDir, cwd } = client.server;
    const start = userHomeDir ?? cwd;
    void this.#show(recall().directory ?? (start === undefined ? "/" : fromPathUri(start)));
  }

  async #show(directory: string): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    this.#reading.abort();
    this.#reading = new AbortController();
    const { signal } = this.#reading;
    // A path that is typed meanwhile is left alone.
    const typed = this.#path.value;
    const setPath = (path: string): void => {
      if (this.#path.value === typed) this.#path.value = path;
    };
    try {
      const path = await client.fs.realPath(directory, { signal });
      const found = await client.fs.readDirectory(path, { signal });
      if (signal.aborted) return;
      withdraw("files");
      const hadFocus = this.#list.contains(document.activeElement);
      this.#directory = path;
      setPath(path);
      this.#filter.value = "";
      remember({ directory: path });
      this.#entries = found
        .map(
          ({ fileName, isDirectory, isFile, isSymlink }): Entry => ({
            name: fileName,
            kind: isDirectory ? "directory" : isFile ? "file" : "other",
            isSymlink: isSymlink === true,
          }),
        )
        .sort(
          (a, b) =>
            Number(b.kind === "directory") - Number(a.kind === "directory") || a.name.localeCompare(b.name),
        );
      this.#render();
      if (hadFocus) this.#list.querySelector("button")?.focus();
      await this.#measure(client, signal);
    } catch (error) {
      if (signal.aborted) return;
      setPath(directory);
      tell("files", `${directory} can't be shown`, error, [
        { label: "Go to /", act: () => void this.#show("/") },
        { label: "Try again", act: () => void this.#show(directory) },
      ]);
    }
  }

  /** Sizes and times, where one question can be about many. */
  async #measure(client: Client, signal: AbortSignal): Promise<void> {
    if (!client.supports("fsExtended")) return;
    for (let at = 0; at < Math.min(this.#entries.length, MAX_ROWS); at += STAT_BATCH) {
      const batch = this.#entries.slice(at, Math.min(at + STAT_BATCH, MAX_ROWS));
      const stats = await client.fs.statMany(
        batch.map(({ name }) => this.#join(name)),
        { signal },
      );
      stats.forEach((stat, index) => {
        const entry = batch[index];
        if (stat === undefined || entry === undefined) return;
        entry.modifiedAtMs = stat.modifiedAtMs;
        if (entry.kind === "file") entry.size = stat.size;
      });
      if (signal.aborted) return;
      this.#render();
    }
  }

  #render(): void {
    const wanted = this.#filter.value.toLowerCase();
    const matching = this.#entries.filter(({ name }) => name.toLowerCase().includes(wanted));
    const known = new Map([...this.#list.children].map((row) => [(row as HTMLElement).dataset["name"], row]));
    const rows = matching.slice(0, MAX_ROWS).map((entry) => {
      const old = known.get(this.#join(entry.name));
      const row = old instanceof HTMLLIElement ? old : this.#row(entry);
      setText(row.querySelector(".size")!, entry.size === undefined ? "" : bytes(entry.size));
      setText(
        row.querySelector(".time")!,
        entry.modifiedAtMs === undefined ? "" : moment(entry.modifiedAtMs),
      );
      return row;
    });
    arrange(this.#list, rows);
    const hidden = matching.length - rows.length;
    const count = matching.length === 1 ? "1 entry" : `${matching.length} entries`;
    setText(
      this.#count,
      this.#entries.length === 0
        ? "This directory is empty."
        : hidden > 0
          ? `${count}, of which ${rows.length} are shown; filter by name to see others.`
          : count,
    );
  }

  #row(entry: Entry): HTMLLIElement {
    const path = this.#join(entry.name);
    const { kind, isSymlink, name } = entry;
    const label = el("span", { class: `name ${kind}` }, kind === "directory" ? `${name}/` : name);
    const link = isSymlink ? " ↪" : "";
    const act = (): void => {
      if (kind === "directory") void this.#show(path);
      else if (kind === "file") this.#openFile(path);
    };
    const open = el(
      "button",
      {
        props: {
          type: "button",
          disabled: kind === "other",
          title: kind === "other" ? "Neither a file nor a directory" : name,
        },
        onClick: act,
      },
      label,
      el("span", { class: "link" }, link),
      el("span", { class: "size" }),
      el("span", { class: "time" }),
    );
    return el("li", { attrs: { "data-name": path } }, open);
  }

  #openFile(path: string): void {
    if (this.#client === undefined) return;
    for (const open of this.#list.querySelectorAll("[aria-current]")) open.removeAttribute("aria-current");
    const row = [...this.#list.children].find((row) => (row as HTMLElement).dataset["name"] === path);
    row?.querySelector("button")?.setAttribute("aria-current", "true");
    this.element.dataset["viewing"] = "";
    void this.#viewer.show(this.#client, path);
  }

  #closeFile(): void {
    delete this.element.dataset["viewing"];
    const current = this.#list.querySelector<HTMLElement>("[aria-current]");
    current?.removeAttribute("aria-current");
    (current ?? this.#list.querySelector<HTMLElement>("button"))?.focus();
  }

  #up(): void {
    const parent = this.#directory.replace(/\/[^/]+\/?$/, "");
    void this.#show(parent === "" ? "/" : parent);
  }

  #join(name: string): string {
    return this.#directory === "/" ? `/${name}` : `${this.#directory}/${name}`;
  }
}
