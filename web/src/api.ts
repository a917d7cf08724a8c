// The service as the page sees it. Nothing else is ever asked: every address begins with a slash.

export type Message = { level: "info" | "mended" | "warning"; text: string; position?: number };
export type Problem = {
  code: string; where: string; reason: string; remedy: string; row?: number; position?: number; record?: string;
};
export type Score = {
  model: string; kind: "ours" | "baseline" | "published"; value: number; low: number | null; high: number | null; n: number | null;
};
export type Standing = {
  headline: string; circumstance: string; verdict: string; brief: string; is_weak: boolean; metric: string;
  lower_is_better: boolean; rows: Score[];
};
export type Task = {
  name: string; title: string; question: string; explanation: string; limits: string; terms: Record<string, string>;
  group: string; place: number; leads: boolean; kind: string; letters: Record<string, string>; zones: [number | null, string][]; span: number[];
  standing: Standing | null;
  source: { dataset: string; licence: string; trained_on: number; references: string[] };
  of_pairs: boolean; conditions: { name: string; unit: string; meaning: string }[];
};
export type Model = { name: string; sha256: string; version: string };
export type Menu = { model: Model; tasks: Task[]; looks: string[]; fold_seconds: number[] };
export type Folded = { cif: string; plddt: number[]; predicted_tm: number; sentence: string; messages: Message[] };
export type Sure = { word: string; figure: string; meaning: string };
export type Card = {
  task: string; title: string; kind: string; group: string; question: string; brief: string; sentence: string;
  sure: Sure | null; near: { far: boolean; title: string; reason: string } | null; limits: string;
};
/** A stretch that was not read as it stands there: an unknown letter, or where two windows overlap. */
export type Mark = { from: number; to: number; word: string };
export type ProteinCard = { number: number; title: string; length: number; messages: Message[]; marks?: Mark[]; answers: Card[] };
export type Job = {
  id: string; state: "queued" | "running" | "done" | "failed" | "cancelled"; sentence: string; asked: number;
  answered: number; refused: Problem[]; merged: string[]; tasks: string[]; model: Model; kept_until: string;
  created: string; links: Record<"job" | "events" | "answers" | "report" | "request" | "page", string>;
};
// deno-lint-ignore no-explicit-any
export type Answer = Record<string, any>;
export type Prediction = {
  id: string; length: number; sha256: string; sequence: string; description?: string; numbering?: string[];
  answers: Record<string, Answer>; messages: Message[]; conditions?: Record<string, number>;
};
export type Looked = { id: string; length: number; messages: Message[] };
export type Entry = { id: string; house: string; host: string };
export type Checked = { accepted: Looked[]; residues: number; seconds: number; refused: Problem[]; merged: string[]; entries: Entry[] };
export type Gathered = { found: (Entry & { text: string; is_structure: boolean })[]; refused: Problem[] };
export type Question = {
  sequences: string | ({ id?: string; sequence: string } | string)[]; tasks?: string[]; conditions?: Record<string, number>;
};
export type Scan = {
  residues: string; scores: (number | null)[][]; ddg: (number | null)[][]; tolerance: (number | null)[];
  ranked: number[]; sentence: string; basis: string; messages: Message[];
};
export type Explanation = {
  task: string; explained: string; unit: string; sentences: string[]; better: string; value: number; hidden: number;
  credits: Record<string, number[]>;
};
export type Line = { level: string; text: string };
export type Course = {
  id: string; stage: "planning" | "planned" | "refused" | "training" | "done" | "failed" | "stopped";
  request: Record<string, string | number | null>; plan: Line[]; told: Line[]; command: string; made: string;
};
// deno-lint-ignore no-explicit-any
export type Step = Record<string, any>;
export type Part = { kind: "title" | "heading" | "say" | "note" | "draw"; text: string };
export type Pair = { answer: Answer; sentence: string; drawing?: string; residues?: number[]; faith?: string };
export type Affinities = {
  question: string; limits: string; terms: Record<string, string>; meanings: Record<string, string>; model: string;
  sequences: Record<string, string>;
  pairs: Pair[]; refused: Problem[];
  drugs: Record<string, {
    smiles: string; given: string | null; properties: Record<string, number>;
    alerts: { catalog: string; name: string }[]; messages: Message[];
  }>;
};

export type Pocket = { rank: number; chance: number; kind: string; residues: number[]; known: { ligand: string } | null; is_novel: boolean; sentence: string };
export type SiteAnswer = { id: string; sequence: string; ground: string; sentence: string; answer: Answer; pockets: Pocket[]; messages: Message[] };
export type SitesTold = { limits: string; terms: Record<string, string>; proteins: SiteAnswer[] };
export type PairTold = {
  limits: string; terms: Record<string, string>; ids: string[]; answer: Answer; sentence: string; reason: string;
  places: number[][]; drawing: string; messages: Message[];
};

export class Refused extends Error {
  constructor(public status: number, public problem: Problem, public refused: Problem[]) {
    super(`${problem.reason} ${problem.remedy}`);
  }
}

const SILENT: Problem = { code: "silent", where: "", reason: "The server did not answer.", remedy: "Is it still running? Start it again with: anfinsen serve" };
const locked = new Set<() => void>();

/** Be told when the server asks for its token. */
export function onLocked(tell: () => void): () => void {
  locked.add(tell);
  return () => locked.delete(tell);
}

export async function ask<T>(path: string, body?: unknown, method?: string): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused(0, SILENT, []);
  }
  if (answer.ok) return (answer.status === 204 ? null : await answer.json()) as T;
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 401) locked.forEach((tell) => tell());
  throw new Refused(answer.status, told.error ?? SILENT, told.refused ?? []);
}

const kept = new Map<string, Promise<unknown>>();

/** The same, asked once: for what does not change while the server runs. A refusal is not kept. */
export function askOnce<T>(path: string, body?: unknown): Promise<T> {
  const key = path + (body === undefined ? "" : JSON.stringify(body));
  if (!kept.has(key)) {
    const asked = ask<T>(path, body);
    asked.catch(() => kept.delete(key));
    kept.set(key, asked);
  }
  return kept.get(key) as Promise<T>;
}

/** Follow a stream of events until it ends or the returned function is called; a cut stream goes on where it was. */
export function follow(path: string, hear: Record<string, (data: never) => boolean | void>): () => void {
  const stream = new EventSource(path);
  for (const [name, tell] of Object.entries(hear)) {
    stream.addEventListener(name, (event) => {
      if (tell(JSON.parse((event as MessageEvent).data) as never)) stream.close();
    });
  }
  return () => stream.close();
}

/** "about 12 s", "about 3 min": a wait as it is told before it begins. */
export const about = (seconds: number) => (seconds < 90 ? `about ${Math.max(1, Math.round(seconds))} s` : `about ${Math.round(seconds / 60)} min`);
export const ENDED = ["done", "failed", "cancelled"];
export const plural = (count: number, noun: string) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
