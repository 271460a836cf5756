// Making elements, and the few things that all views do with them.

type Child = Node | string;

/** What an element is made with: its properties, and attributes where those have no property. */
interface Parts<E extends HTMLElement> {
  readonly class?: string;
  readonly props?: Partial<E>;
  readonly attrs?: Readonly<Record<string, string>>;
  readonly onClick?: () => void;
}

/** Makes an element. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  parts: Parts<HTMLElementTagNameMap[K]> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (parts.class !== undefined) element.className = parts.class;
  Object.assign(element, parts.props);
  for (const [name, value] of Object.entries(parts.attrs ?? {})) element.setAttribute(name, value);
  if (parts.onClick !== undefined) element.addEventListener("click", parts.onClick);
  element.append(...children);
  return element;
}

/** A button that does one thing. */
export function button(label: string, onClick: () => void, className = "", title = ""): HTMLButtonElement {
  return el("button", { class: className, props: { type: "button", title }, onClick }, label);
}

/** An element of the page that has to be there. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element as E;
}

/** Changes a text only where it differs, so that nobody's selection is lost and no reader speaks again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Gives the children of `parent` the order of `wanted`, leaving alone those that stand right. */
export function arrange(parent: Element, wanted: readonly Element[]): void {
  for (const child of [...parent.children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
}

/** Saves bytes as a file of the browser's machine. */
export function download(name: string, pieces: readonly BlobPart[]): void {
  const url = URL.createObjectURL(new Blob([...pieces], { type: "application/octet-stream" }));
  const link = el("a", { props: { href: url, download: name } });
  link.click();
  // The browser has taken it up by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Moves the focus among `items` with the arrow keys, Home and End: one stop of the Tab key for all of them. */
export function roving(container: HTMLElement, selector: string): void {
  const items = (): HTMLElement[] => [...container.querySelectorAll<HTMLElement>(selector)];
  const settle = (current?: HTMLElement): void => {
    const all = items();
    const stop = current ?? all.find((item) => item.tabIndex === 0) ?? all[0];
    for (const item of all) item.tabIndex = item === stop ? 0 : -1;
  };
  container.addEventListener("focusin", (event) => {
    const item = (event.target as Element).closest<HTMLElement>(selector);
    if (item !== null) settle(item);
  });
  container.addEventListener("keydown", (event) => {
    const all = items();
    const at = all.indexOf(event.target as HTMLElement);
    if (at < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const to = {
      ArrowDown: at + 1,
      ArrowRight: at + 1,
      ArrowUp: at - 1,
      ArrowLeft: at - 1,
      Home: 0,
      End: all.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    all[Math.min(Math.max(to, 0), all.length - 1)]?.focus();
  });
  new MutationObserver(() => settle()).observe(container, { childList: true, subtree: true });
  settle();
}
