// One file: as text with its line numbers, as an image, or as bytes. Reads no more than is looked at.

import type { Client } from "codex-exec-server-sdk";
import { button, download, el, setText } from "./dom.js";
import { bytes, moment } from "./format.js";
import { tell, withdraw } from "./notices.js";

/** What one look reads. */
const STEP_BYTES = 256 * 1024;
/** Text that a page still scrolls well. */
const MAX_TEXT_BYTES = 2 * 1024 * 1024;
const MAX_HEX_BYTES = 16 * 1024;
const MAX_IMAGE_BYTES = 16 * 1024 * 1024;
const MAX_SAVE_BYTES = 512 * 1024 * 1024;

const IMAGES: ReadonlyArray<readonly [string, readonly number[]]> = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47]],
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/gif", [0x47, 0x49, 0x46, 0x38]],
  ["image/webp", [0x52, 0x49, 0x46, 0x46]],
];

/** See the head of the file. */
export class FileViewer {
  readonly element = el("section", { class: "viewer", attrs: { "aria-label": "File", hidden: "" } });
  readonly #title = el("h3", { props: { tabIndex: -1 } });
  readonly #facts = el("p", { class: "hint" });
  readonly #body = el("div", { class: "body" });
  readonly #more = button("Show more", () => void this.#readMore());
  readonly #save = button("Save", () => void this.#saveFile());
  #client: Client | undefined;
  #path = "";
  #size = 0;
  #shown = 0;
  #decoder = new TextDecoder();
  #reading = new AbortController();
  #imageUrl: string | undefined;

  constructor(closed: () => void) {
    const close = button("Close", () => {
      this.#clear();
      this.element.hidden = true;
      closed();
    });
    this.element.append(
      el("header", {}, this.#title, this.#save, close),
      this.#facts,
      this.#body,
      el("footer", {}, this.#more),
    );
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close.click();
    });
  }

  async show(client: Client, path: string): Promise<void> {
    this.#clear();
    this.#client = client;
    this.#path = path;
    const { signal } = this.#reading;
    this.element.hidden = false;
    setText(this.#title, path.slice(path.lastIndexOf("/") + 1));
    this.#title.title = path;
    setText(this.#facts, "Reading…");
    try {
      const stat = await client.fs.stat(path, { signal });
      this.#size = stat.size;
      const { bytes: first } = await this.#read(0);
      if (signal.aborted) return;
      withdraw("viewer");
      setText(this.#facts, `${bytes(stat.size)} · changed ${moment(stat.modifiedAtMs)}`);
      const image = IMAGES.find(([, magic]) => magic.every((byte, at) => first[at] === byte));
      if (image !== undefined && stat.size <= MAX_IMAGE_BYTES) await this.#showImage(image[0], first, signal);
      else if (isText(first)) this.#addText(first);
      else this.#showHex(first);
      this.#title.focus();
    } catch (error) {
      if (signal.aborted) return;
      setText(this.#facts, "It could not be read.");
      tell("viewer", `${path} can't be read`, error, [
        { label: "Try again", act: () => void this.show(client, path) },
      ]);
    }
  }

  #clear(): void {
    this.#reading.abort();
    this.#reading = new AbortController();
    this.#decoder = new TextDecoder();
    this.#shown = 0;
    this.#body.replaceChildren();
    this.#more.hidden = true;
    if (this.#imageUrl !== undefined) URL.revokeObjectURL(this.#imageUrl);
    this.#imageUrl = undefined;
  }

  /** A step of the file from `offset` on; all of it from a server that knows no steps. */
  async #read(offset: number): Promise<{ readonly bytes: Uint8Array<ArrayBuffer> }> {
    const client = this.#client!;
    const { signal } = this.#reading;
    if (client.supports("fsExtended")) return client.fs.readRange(this.#path, offset, STEP_BYTES, { signal });
    const whole = await client.fs.readFile(this.#path, { signal });
    return { bytes: whole.subarray(offset, offset + STEP_BYTES) };
  }

  async #readMore(): Promise<void> {
    const { signal } = this.#reading;
    try {
      const { bytes: next } = await this.#read(this.#shown);
      if (!signal.aborted) this.#addText(next);
    } catch (error) {
      if (!signal.aborted) tell("viewer", `No more of ${this.#path} can be read`, error);
    }
  }

  #addText(piece: Uint8Array): void {
    this.#shown += piece.length;
    const isWhole = piece.length === 0 || this.#shown >= this.#size;
    const text = this.#decoder.decode(piece, { stream: !isWhole });
    let pre = this.#body.querySelector("pre");
    let gutter = this.#body.querySelector<HTMLElement>(".gutter");
    if (pre === null || gutter === null) {
      gutter = el("pre", { class: "gutter", attrs: { "aria-hidden": "true" } });
      pre = el("pre", { class: "text", props: { tabIndex: 0 }, attrs: { "aria-label": "Contents" } });
      this.#body.replaceChildren(el("div", { class: "code" }, gutter, pre));
    }
    // The gutter is a pre as well.
    const content = this.#body.querySelector("pre.text")!;
    content.append(text);
    const whole = content.textContent ?? "";
    const lines = whole.split("\n").length - (whole.endsWith("\n") ? 1 : 0);
    gutter.textContent = Array.from({ length: lines }, (_, line) => line + 1).join("\n");
    const isFull = this.#shown >= MAX_TEXT_BYTES;
    this.#more.hidden = isWhole || isFull;
    if (!isWhole) {
      const rest = isFull ? "save the file to see the rest" : "there is more below";
      setText(this.#facts, `${bytes(this.#shown)} of ${bytes(this.#size)}: ${rest}`);
    } else setText(this.#facts, `${bytes(this.#size)} · ${lines === 1 ? "1 line" : `${lines} lines`}`);
  }

  async #showImage(type: string, first: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<void> {
    const whole =
      first.length >= this.#size ? first : await this.#client!.fs.readFile(this.#path, { signal });
    if (signal.aborted) return;
    this.#imageUrl = URL.createObjectURL(new Blob([whole], { type }));
    this.#body.replaceChildren(
      el("img", { props: { src: this.#imageUrl, alt: this.#title.textContent ?? "" } }),
    );
  }

  #showHex(first: Uint8Array): void {
    const part = first.subarray(0, MAX_HEX_BYTES);
    const rows: string[] = [];
    for (let at = 0; at < part.length; at += 16) {
      const row = [...part.subarray(at, at + 16)];
      const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
      const text = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
      rows.push(`${at.toString(16).padStart(8, "0")}  ${hex.padEnd(47)}  ${text}`);
    }
    const pre = el(
      "pre",
      { class: "text", props: { tabIndex: 0 }, attrs: { "aria-label": "Bytes" } },
      rows.join("\n"),
    );
    this.#body.replaceChildren(pre);
    if (part.length < this.#size) {
      setText(
        this.#facts,
        `no text; the first ${bytes(part.length)} of ${bytes(this.#size)}: save the file to have it all`,
      );
    } else setText(this.#facts, `${bytes(this.#size)}, no text`);
  }

  async #saveFile(): Promise<void> {
    const { signal } = this.#reading;
    const name = this.#title.textContent || "file";
    if (this.#size > MAX_SAVE_BYTES) {
      const reason = new Error(
        `it has ${bytes(this.#size)}, and a page takes ${bytes(MAX_SAVE_BYTES)} at most; fetch it on the command line`,
      );
      tell("viewer", `${name} can't be saved here`, reason);
      return;
    }
    this.#save.disabled = true;
    try {
      const pieces: BlobPart[] = [];
      for await (const piece of chunksOf(this.#client!.fs.readStream(this.#path, { signal }))) {
        if (signal.aborted) return;
        pieces.push(piece);
      }
      download(name, pieces);
    } catch (error) {
      if (!signal.aborted) tell("viewer", `${name} can't be saved`, error);
    } finally {
      this.#save.disabled = false;
    }
  }
}

/** Not every browser lets a stream be iterated. */
async function* chunksOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Whether bytes read as text: no zeros, and UTF-8 but for a letter that is cut at the end. */
function isText(bytes: Uint8Array): boolean {
  if (bytes.includes(0)) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
