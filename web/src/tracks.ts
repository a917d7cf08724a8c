// What is drawn along a chain, read from an answer by the keys it holds (as the report does), never by a task's name.
import type { Answer, Mark, Prediction, Task } from "./api";

type Base = { id: string; title: string; unit?: string };
export type Track = Base & (
  | { kind: "segments"; letters: string; names: Record<string, string>; certainty: number[]; isStructure: boolean }
  | { kind: "grades"; letters: string; certainty: number[] }
  | { kind: "columns"; shares: number[]; least: number; said: boolean[]; hue: number }
  | { kind: "line"; values: (number | null)[]; low: (number | null)[]; high: (number | null)[]; zones: [number | null, string][] }
  | { kind: "bars"; values: (number | null)[]; note: string }
  | { kind: "sure"; values: (number | null)[] }
  | { kind: "marks"; marks: Mark[] }
);

export function tracksOf(prediction: Prediction, tasks: Map<string, Task>, order: string[]): Track[] {
  const found: Track[] = [];
  const length = prediction.sequence.length;
  let hue = 0;
  for (const name of order) {
    const answer = prediction.answers[name] as Answer | undefined, task = tasks.get(name);
    if (!answer) continue;
    const base = { id: name, title: task?.title ?? name, unit: answer.unit as string | undefined };
    if (answer.thresholds && answer.letters) {
      const names = Object.keys(answer.letters);
      for (const part of names) {
        const shares = answer.probabilities[part] as number[], least = answer.thresholds[part] as number;
        if (shares.length !== length) continue;
        found.push({
          ...base, id: `${name}:${part}`, title: names.length === 1 ? base.title : `${part} (${base.title.toLowerCase()})`,
          kind: "columns", shares, least, said: shares.map((share) => share >= least), hue: hue++ % 6,
        });
      }
    } else if (typeof answer.tokens === "string" && answer.tokens.length === length) {
      const letters = answer.tokens;
      const certainty = [...letters].map((letter, at) => Number(answer.probabilities?.[letter]?.[at] ?? 1));
      if (/^\d+$/.test(letters) && new Set(letters).size > 2 && Object.keys(answer.probabilities ?? {}).every((one) => /^\d$/.test(one))) {
        found.push({ ...base, kind: "grades", letters, certainty });
      } else {
        const isStructure = /^[HEC]+$/.test(letters);
        found.push({ ...base, kind: "segments", letters, names: task?.letters ?? {}, certainty, isStructure });
      }
    } else if (Array.isArray(answer.values) && answer.values.length === length) {
      found.push({ ...base, kind: "line", values: answer.values, low: answer.low ?? [], high: answer.high ?? [], zones: task?.zones ?? [] });
    }
  }
  return found;
}

export const nameOf = (letter: string, names: Record<string, string>) => names[letter] ?? letter;
const percent = (share: number) => (share < 0.01 ? "<1%" : `${Math.round(100 * share)}%`);

/** What a track says of one residue (0-based), in words. */
export function wordAt(track: Track, at: number): string {
  switch (track.kind) {
    case "segments": return `${nameOf(track.letters[at], track.names)} ${percent(track.certainty[at])}`;
    case "grades": return `grade ${track.letters[at]} of 9`;
    case "columns": return `${track.said[at] ? "yes" : "no"} ${percent(track.shares[at])}`;
    case "line": {
      const value = track.values[at];
      if (value === null) return "not told";
      const zone = track.zones.find(([end]) => end === null || value < end)?.[1] ?? track.zones.at(-1)?.[1];
      return `${value.toFixed(1)}${zone ? ` ${zone}` : ""}`;
    }
    case "bars": return track.values[at] === null ? "not told" : track.values[at]!.toFixed(2);
    case "sure": return track.values[at] === null ? "not told" : `${track.values[at]!.toFixed(0)} ${confidenceWord(track.values[at]!)}`;
    case "marks": return track.marks.filter((one) => one.from <= at + 1 && at < one.to).map((one) => one.word).join("; ") || "as it stands";
  }
}

/** AlphaFold's bands of pLDDT, whose legend says "> 90": a value on a border belongs to the band below it. */
export const confidenceWord = (plddt: number) =>
  plddt > 90 ? "very high" : plddt > 70 ? "confident" : plddt > 50 ? "low" : "very low";
export const CONFIDENCE: Record<string, number> = { "very high": 0x0053d6, confident: 0x65cbf3, low: 0xffdb13, "very low": 0xff7d45 };

/** Runs of equal letters as [start, end, letter], end not included. */
export function runs(letters: string): [number, number, string][] {
  const found: [number, number, string][] = [];
  for (let start = 0, at = 1; at <= letters.length; at++) {
    if (letters[at] !== letters[start]) {
      found.push([start, at, letters[start]]);
      start = at;
    }
  }
  return found;
}

const DARK: [number, number, number][] = [[240, 150, 60], [158, 94, 38], [34, 38, 47], [72, 92, 158], [132, 154, 240]];
const DIVERGING: [number, number, number][] = [[179, 88, 6], [241, 163, 64], [246, 240, 232], [153, 176, 216], [69, 86, 168]];

/** A colour from orange (-1, harm) over pale (or dark, on dark paper) to blue (+1), which eyes that see no red or green tell apart as well. */
export function diverging(share: number, isDark = false): [number, number, number] {
  const x = (Math.max(-1, Math.min(1, share)) + 1) * 2, at = Math.min(3, Math.floor(x)), rest = x - at;
  const scale = isDark ? DARK : DIVERGING;
  return scale[at].map((value, channel) => Math.round(value + (scale[at + 1][channel] - value) * rest)) as [number, number, number];
}
export const asNumber = ([r, g, b]: [number, number, number]) => (r << 16) | (g << 8) | b;
export const quantile = (values: number[], share: number) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
};
