// The beginning of the page: how it looks, whether the server lets it in, and the keys that work everywhere.

import { type Access, askAccess } from "./access.js";
import { Console } from "./console.js";
import { byId, setText } from "./dom.js";
import { recall, recallTheme, remember, rememberTheme, type Theme } from "./memory.js";
import { notify } from "./notices.js";

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
let theme: Theme = recallTheme();
let opened: Console | undefined;

function currentTheme(): "light" | "dark" {
  if (theme !== "auto") return theme;
  return systemIsDark.matches ? "dark" : "light";
}

function applyTheme(): void {
  document.documentElement.dataset["theme"] = currentTheme();
  const names: Readonly<Record<Theme, string>> = {
    auto: "Theme: as the system",
    light: "Theme: light",
    dark: "Theme: dark",
  };
  byId("theme").title = names[theme];
  byId("theme").setAttribute("aria-label", names[theme]);
  opened?.themeChanged();
}

/** Asks for a token, and why. */
function askForToken(why: string): void {
  document.body.dataset["page"] = "sign-in";
  setText(byId("sign-in-why"), why);
  byId<HTMLInputElement>("token").focus();
}

function explain(access: Exclude<Access, { readonly type: "granted" }>): void {
  const retry = { label: "Try again", act: () => void enter() };
  switch (access.type) {
    case "refused":
      askForToken(
        access.hadToken
          ? `The server did not accept that token (${access.said}). Check it, and paste it again.`
          : "This server asks for its token: the content of the file that it was started with (--ws-token-file).",
      );
      return;
    case "forbidden":
      notify({
        kind: "error",
        topic: "access",
        text: `The server admits no pages of ${location.origin}. Open it by its address, or by localhost; for a name, start it with a token, or with --allow-origin ${location.origin}.`,
        remedies: [retry],
      });
      return;
    case "unreachable":
      notify({
        kind: "error",
        topic: "access",
        text: `The server does not answer (${access.why}). Check that it runs, and that the way to it is open.`,
        remedies: [retry],
      });
      return;
  }
}

/** Goes in with the token that is remembered, if the server lets it. */
async function enter(): Promise<void> {
  const { token } = recall();
  const access = await askAccess(token);
  if (access.type !== "granted") return explain(access);
  document.body.dataset["page"] = "console";
  byId("sign-out").hidden = token === undefined;
  if (opened !== undefined) {
    // With another token everything is made anew.
    location.reload();
    return;
  }
  opened = new Console(token, currentTheme, () => void recheck());
  opened.begin();
}

/** A connection was refused: finds out why. */
async function recheck(): Promise<void> {
  const access = await askAccess(recall().token);
  if (access.type !== "granted") return explain(access);
  notify({
    kind: "error",
    topic: "access",
    text: "The connection could not be made, though the server lets this page in. Something between may not pass WebSockets on.",
    remedies: [{ label: "Try again", act: () => location.reload() }],
  });
}

/** Keys without Ctrl and the like, where nothing is typed. */
function shortcut(event: KeyboardEvent): void {
  const target = event.target as Element;
  const isTyping = target.closest("input, textarea, select, dialog, .xterm") !== null;
  if (opened === undefined || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
  const act = {
    n: () => opened?.focusCommand(),
    t: () => opened?.focusTerminal(),
    f: () => opened?.show("files", /* focus */ true),
    a: () => opened?.show("activity", /* focus */ true),
    "?": () => byId<HTMLDialogElement>("help-dialog").showModal(),
  }[event.key];
  if (act === undefined) return;
  event.preventDefault();
  act();
}

systemIsDark.addEventListener("change", applyTheme);
byId("theme").addEventListener("click", () => {
  theme = ({ auto: "light", light: "dark", dark: "auto" } as const)[theme];
  rememberTheme(theme);
  applyTheme();
});
byId("help").addEventListener("click", () => byId<HTMLDialogElement>("help-dialog").showModal());
byId("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = byId<HTMLInputElement>("token");
  remember({ token: field.value.trim() });
  field.value = "";
  void enter();
});
byId("sign-out").addEventListener("click", () => {
  remember({ token: undefined });
  location.reload();
});
document.addEventListener("keydown", shortcut);
applyTheme();
void enter();
