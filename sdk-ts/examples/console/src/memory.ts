// What outlives a reload of the page, and ends with its tab: the token, the sessions, and what was looked at.

/** See the head of the file. */
export interface Remembered {
  /** The credential, where the server asks for one. */
  readonly token?: string;
  /** Ids of sessions, which are secrets like the token. */
  readonly sessions: readonly string[];
  /** Those of them that are only watched. */
  readonly watched: readonly string[];
  readonly session?: string;
  /** The process that is shown, for each session. */
  readonly shown: Readonly<Record<string, string>>;
  /** The directory that is shown. */
  readonly directory?: string;
  readonly view?: string;
}

const KEY = "codex-exec-server-console";
/** The one thing that is kept for longer: how the page looks. */
const THEME_KEY = "codex-exec-server-console-theme";
const NOTHING: Remembered = { sessions: [], watched: [], shown: {} };

/** What was remembered. Whatever can't be read is nothing. */
export function recall(): Remembered {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Remembered | null;
    return found === null ? NOTHING : { ...NOTHING, ...found };
  } catch {
    return NOTHING;
  }
}

/** Remembers `changes` beside what is remembered; `undefined` forgets. */
export function remember(changes: { readonly [K in keyof Remembered]?: Remembered[K] | undefined }): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ ...recall(), ...changes }));
  } catch {
    // Where nothing may be stored, a reload begins anew.
  }
}

/** `light`, `dark`, or `auto` for what the system says. */
export type Theme = "auto" | "light" | "dark";

export function recallTheme(): Theme {
  try {
    const theme = localStorage.getItem(THEME_KEY);
    return theme === "light" || theme === "dark" ? theme : "auto";
  } catch {
    return "auto";
  }
}

export function rememberTheme(theme: Theme): void {
  try {
    localStorage.setItem(THEME_KEY, theme);
  } catch {
    // As above.
  }
}
