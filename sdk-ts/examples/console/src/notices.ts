// What went wrong, and what to do next: each notice says both, and has a button where the page can do it.

import { isExecError } from "codex-exec-server-sdk";
import { button, byId, el } from "./dom.js";

/** Something to do about a notice. */
export interface Remedy {
  readonly label: string;
  readonly act: () => void;
}

interface Notice {
  readonly kind: "error" | "info";
  /** One notice of a topic at a time: the newer takes the place of the older. */
  readonly topic: string;
  readonly text: string;
  readonly remedies?: readonly Remedy[];
}

const MAX_NOTICES = 4;

/** Shows a notice until it is closed, used, or replaced. */
export function notify({ kind, topic, text, remedies = [] }: Notice): void {
  const area = byId("notices");
  withdraw(topic);
  const notice = el("div", { class: `notice ${kind}`, attrs: { "data-topic": topic } }, el("p", {}, text));
  for (const { label, act } of remedies) {
    notice.append(
      button(label, () => {
        notice.remove();
        act();
      }),
    );
  }
  notice.append(button("✕", () => notice.remove(), "quiet", "Close this notice"));
  notice.lastElementChild?.setAttribute("aria-label", "Close this notice");
  area.append(notice);
  while (area.children.length > MAX_NOTICES) area.firstElementChild?.remove();
}

/** Takes back what was said about a topic. */
export function withdraw(topic: string): void {
  for (const notice of byId("notices").querySelectorAll<HTMLElement>(".notice")) {
    if (notice.dataset["topic"] === topic) notice.remove();
  }
}

/** Tells why something came to nothing. Errors of the SDK say what to do; others are mistakes of this page. */
export function tell(topic: string, doing: string, error: unknown, remedies: readonly Remedy[] = []): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  const reason = error instanceof Error ? error.message : String(error);
  notify({ kind: "error", topic, text: `${doing}: ${reason}.${advice(error)}`, remedies });
}

/** What to do about errors of which the SDK can't know what the page offers. */
function advice(error: unknown): string {
  if (!isExecError(error)) return "";
  switch (error.kind) {
    case "notFound":
      return " Check the spelling of the path or program.";
    case "permissionDenied":
      return " The server's user may not do that; choose another path, or give that user the right.";
    case "notADirectory":
    case "isADirectory":
      return " Choose another path.";
    case "unsupported":
      return " A newer server can do it.";
    case "outcomeUnknown":
      return " Look at the list before you try it again.";
    default:
      return error.hint === undefined ? " Try it again; if it stays so, the server's log says more." : "";
  }
}
