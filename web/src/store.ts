// What the whole page shares: the selection, the address, and what its reader prefers.
//
// One selection {chain, residues} is read by sequence, tracks, heat map, 3-D, table and address. It changes at most once
// a frame, and only those who show it are told; the rest of the page is not drawn again.
import { useSyncExternalStore } from "react";

export type Span = [number, number];
export type Selection = { chain: string; spans: Span[] };

class Store<T> {
  private hearing = new Set<() => void>();
  constructor(private value: T) {}
  get = () => this.value;
  set = (value: T) => {
    if (value === this.value) return;
    this.value = value;
    this.hearing.forEach((tell) => tell());
  };
  hear = (tell: () => void) => {
    this.hearing.add(tell);
    return () => void this.hearing.delete(tell);
  };
}

/** A part of the address; whoever asks for it is told only when that part changes. */
export function useAddress(part: () => string | null): string | null {
  return useSyncExternalStore(place.hear, part);
}

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.hear, store.get);
}

// The address -----------------------------------------------------------------------------------------------------

export const place = new Store<string>(location.pathname + location.search);
addEventListener("popstate", () => {
  place.set(location.pathname + location.search);
  selection.set(readSelection());
});

export function go(to: string): void {
  history.pushState(null, "", to);
  place.set(location.pathname + location.search);
  selection.set(readSelection());
  scrollTo({ top: 0 });
}

export const parameter = (name: string) => new URLSearchParams(location.search).get(name);

export function setParameter(name: string, value: string | null): void {
  const search = new URLSearchParams(location.search);
  if (value) search.set(name, value);
  else search.delete(name);
  const text = search.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
  place.set(location.pathname + location.search);
}

// The selection ---------------------------------------------------------------------------------------------------

const NOTHING: Selection = { chain: "A", spans: [] };

/** "A:57-64,70" as a selection; what cannot be read is nothing. */
export function parseSelection(text: string | null): Selection {
  const match = /^([^:]{1,8}):(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)$/.exec(text ?? "");
  if (!match) return NOTHING;
  const spans = match[2].split(",").map((part): Span => {
    const [first, last = first] = part.split("-").map(Number);
    return [Math.min(first, last), Math.max(first, last)];
  });
  return { chain: match[1], spans: spans.filter(([first]) => first >= 1) };
}

export const tellSelection = ({ chain, spans }: Selection) =>
  spans.length ? `${chain}:${spans.map(([a, b]) => (a === b ? a : `${a}-${b}`)).join(",")}` : null;

const readSelection = () => parseSelection(parameter("sel"));
export const selection = new Store<Selection>(readSelection());
export const hovered = new Store<number | null>(null);
let anchor: number | null = null;
const PAUSE = 90;
let written = -PAUSE, writing = 0;

/** The selection into the address: at once, and while a range is drawn every 90 ms, since browsers refuse more. */
function write(): void {
  clearTimeout(writing);
  const wait = written + PAUSE - performance.now();
  if (wait > 0) writing = window.setTimeout(write, wait);
  else {
    written = performance.now();
    setParameter("sel", tellSelection(selection.get()));
  }
}

export function select(spans: Span[], chain = selection.get().chain): void {
  selection.set({ chain, spans });
  write();
}

/** Select one residue; with `extend` everything from the last one that was selected alone. */
export function selectResidue(position: number, extend = false): void {
  if (extend && anchor !== null) select([[Math.min(anchor, position), Math.max(anchor, position)]]);
  else {
    anchor = position;
    select([[position, position]]);
  }
}

export const holds = ({ spans }: Selection, position: number) => spans.some(([a, b]) => position >= a && position <= b);
export const firstOf = ({ spans }: Selection) => (spans.length ? spans[0][0] : null);

// What its reader prefers -----------------------------------------------------------------------------------------

function remembered<T extends string>(key: string, usual: T): Store<T> {
  const store = new Store<T>((localStorage.getItem(key) as T | null) ?? usual);
  store.hear(() => localStorage.setItem(key, store.get()));
  return store;
}

export const voice = remembered<"plain" | "expert">("anfinsen-voice", "plain");
export const light = remembered<"auto" | "light" | "dark">("anfinsen-light", "auto");
const shine = () => {
  const value = light.get();
  if (value === "auto") delete document.documentElement.dataset.light;
  else document.documentElement.dataset.light = value;
};
/** Whether the paper is dark now, by choice or by what the system says. */
const night = matchMedia("(prefers-color-scheme: dark)");
export function useDark(): boolean {
  return useSyncExternalStore(
    (tell) => {
      night.addEventListener("change", tell);
      const mute = light.hear(tell);
      return () => { night.removeEventListener("change", tell); mute(); };
    },
    () => (light.get() === "auto" ? night.matches : light.get() === "dark"),
  );
}
light.hear(shine);
shine();
