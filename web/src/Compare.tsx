// Wild type against mutant, or any two proteins: answer by answer, and along the chain where they have the same length.
import { useEffect, useMemo, useState } from "react";
import { ask, askOnce, plural, Refused, type Answer, type Job, type Menu, type Prediction, type Problem, type ProteinCard } from "./api";
import { Composer, useChecked } from "./Composer";
import { arrange } from "./ProteinView";
import { go, parameter } from "./store";
import { tracksOf, type Track } from "./tracks";
import { TrackView, useWindow } from "./TrackView";
import { figure, Surety, Trouble } from "./words";

/** "A123V:K45R" made in a sequence, or why it cannot be. */
export function mutate(sequence: string, text: string): { sequence: string } | { trouble: string } {
  const parts = text.trim().split(/[:,\s]+/).filter(Boolean);
  const letters = [...sequence];
  if (!parts.length) return { trouble: "Write at least one mutation, such as A123V." };
  for (const part of parts) {
    const match = /^([A-Z])(\d+)([A-Z])$/.exec(part.toUpperCase());
    if (!match) return { trouble: `'${part}' is no mutation; write the residue, its number and the new one, such as A123V.` };
    const at = Number(match[2]) - 1;
    if (letters[at] === undefined) return { trouble: `There is no residue ${match[2]}: the chain has ${sequence.length}.` };
    if (sequence[at] !== match[1]) return { trouble: `Residue ${match[2]} is ${sequence[at]}, not ${match[1]}. Did you mean ${sequence[at]}${match[2]}${match[3]}?` };
    letters[at] = match[3];
  }
  return { sequence: letters.join("") };
}

export function Compare() {
  const [first, setFirst] = useState("");
  const [second, setSecond] = useState("");
  const [mutation, setMutation] = useState(parameter("mutation") ?? "");
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [isAsking, setAsking] = useState(false);
  const { checked } = useChecked(first);
  const bare = first.replace(/^>.*$/gm, "").replace(/[^A-Za-z]/g, "").toUpperCase();
  const name = /^>\s*(\S+)/.exec(first.trim())?.[1] ?? "wild-type";
  const made = mutation.trim() ? mutate(bare, mutation) : null;
  useEffect(() => {
    const of = parameter("of");
    if (of) askOnce<Prediction>(`/v1/jobs/${of}/answers/${parameter("p") ?? 0}`).then((one) => setFirst(`>${one.id}\n${one.sequence}\n`), () => {});
  }, []);
  const other = made && "sequence" in made ? { id: `${name}-${mutation.trim().toUpperCase().replace(/[^A-Z\d]+/g, "-")}`, sequence: made.sequence }
    : { id: /^>\s*(\S+)/.exec(second.trim())?.[1] ?? "other", sequence: second.replace(/^>.*$/gm, "").replace(/\s+/g, "") };
  const start = async () => {
    setAsking(true);
    setTrouble(null);
    try {
      const job = await ask<Job>("/v1/jobs", { sequences: [{ id: name, sequence: bare }, other] });
      go(`/r/${job.id}?view=compare`);
    } catch (error) {
      setTrouble((error as Refused).problem);
      setAsking(false);
    }
  };
  return (
    <main className="narrow">
      <h1>Compare two proteins</h1>
      <p className="lead">A wild type and its mutant, or any two. Each difference is shown with both intervals: where they overlap, it may be nothing.</p>
      <form onSubmit={(event) => { event.preventDefault(); void start(); }}>
        <Composer text={first} setText={setFirst} label="The first protein" rows={5} />
        <div className="composer">
          <label>Its mutant, as mutations<input value={mutation} onChange={(event) => setMutation(event.target.value)} placeholder="A123V:K45R" spellCheck={false} /></label>
          {made && "trouble" in made && bare && <p className="trouble" role="alert">{made.trouble}</p>}
          <details open={!mutation && second !== ""}><summary>or another sequence</summary><textarea rows={4} aria-label="The other sequence" spellCheck={false} value={second} onChange={(event) => setSecond(event.target.value)} /></details>
          <div className="run"><button type="submit" className="main" disabled={isAsking || !checked?.accepted.length || !other.sequence}>{isAsking ? "Asking …" : "Compare"}</button></div>
        </div>
      </form>
      <Trouble problem={trouble} />
    </main>
  );
}

/** What is between two answers, in words that say no more than their intervals allow. */
export function differenceOf(a: Answer, b: Answer): string {
  if (typeof a.value === "number" && typeof b.value === "number") {
    const by = b.value - a.value, unit = a.unit ?? "";
    const apart = a.low !== undefined && (b.low > a.high || a.low > b.high);
    const text = `${by > 0 ? "+" : ""}${figure(by)} ${unit}`.trim();
    return a.low === undefined ? text : apart ? `${text}; the intervals lie apart` : `${text}; the intervals overlap, so this may be nothing`;
  }
  if (a.label !== undefined) {
    if (a.label !== b.label) return `${a.label} becomes ${b.label}`;
    const by = Math.round(100 * (b.probability - a.probability));
    return by ? `the same, ${by > 0 ? "+" : "−"}${Math.abs(by)} points of confidence` : "the same";
  }
  if (Array.isArray(a.labels)) {
    const said = (one: Answer) => new Set((one.labels as { label: string; name?: string; probability: number }[]).filter((x) => x.probability >= 0.5).map((x) => x.name ?? x.label));
    const [x, y] = [said(a), said(b)];
    const gone = [...x].filter((one) => !y.has(one)), come = [...y].filter((one) => !x.has(one));
    return gone.length || come.length ? [come.length && `new: ${come.join(", ")}`, gone.length && `gone: ${gone.join(", ")}`].filter(Boolean).join("; ") : "the same";
  }
  if (typeof a.tokens === "string" && a.tokens.length === b.tokens?.length) {
    const count = [...(a.tokens as string)].filter((letter, at) => letter !== b.tokens[at]).length;
    return count ? `${plural(count, "residue")} differ` : "no residue differs";
  }
  if (Array.isArray(a.values) && a.values.length === b.values?.length) {
    const gaps = (a.values as (number | null)[]).map((one, at) => Math.abs((b.values[at] ?? 0) - (one ?? 0)));
    return `at most ${figure(Math.max(...gaps))} apart, at residue ${gaps.indexOf(Math.max(...gaps)) + 1}`;
  }
  return "not comparable along the chain";
}

/** One number a residue in which two answers differ: shares of the more probable letter, or values. */
function differenceTrack(one: Track, two: Track): Track | null {
  const make = (values: (number | null)[]): Track => ({ id: one.id, title: one.title, kind: "bars", values, note: "second less first" });
  if (one.kind === "columns" && two.kind === "columns") return make(one.shares.map((share, at) => two.shares[at] - share));
  if (one.kind === "line" && two.kind === "line") return make(one.values.map((value, at) => (value === null || two.values[at] === null ? null : two.values[at]! - value)));
  if (one.kind === "grades" && two.kind === "grades") return make([...one.letters].map((letter, at) => Number(two.letters[at]) - Number(letter)));
  if (one.kind === "segments" && two.kind === "segments") return make([...one.letters].map((letter, at) => (letter === two.letters[at] ? two.certainty[at] - one.certainty[at] : -1)));
  return null;
}

export function CompareView({ job, cards, menu }: { job: Job; cards: ProteinCard[]; menu: Menu }) {
  const [pair, setPair] = useState<Prediction[]>([]);
  const isReady = cards.length === 2;
  useEffect(() => {
    if (isReady) void Promise.all([0, 1].map((at) => askOnce<Prediction>(`/v1/jobs/${job.id}/answers/${at}`))).then(setPair, () => {});
  }, [isReady, job.id]);
  const tasks = useMemo(() => arrange(menu).filter((one) => job.tasks.includes(one.name)), [menu, job.tasks]);
  const [one, two] = pair;
  const tracks = useMemo(() => {
    if (!one || !two || one.length !== two.length) return [];
    const byName = new Map(tasks.map((task) => [task.name, task]));
    const [a, b] = [one, two].map((each) => tracksOf(each, byName, tasks.map((task) => task.name)));
    const changed: Track = { id: "changed", title: "changed residues", kind: "columns", shares: [...one.sequence].map((letter, at) => (letter === two.sequence[at] ? 0 : 1)), said: [...one.sequence].map((letter, at) => letter !== two.sequence[at]), least: 0.5, hue: 0 };
    return [changed, ...a.map((track, at) => differenceTrack(track, b[at])).filter((track): track is Track => track !== null)];
  }, [one, two, tasks]);
  const view = useWindow(one?.length ?? 0);
  if (!isReady || !one || !two) return <p className="lead" aria-live="polite">{job.sentence}</p>;
  return (
    <>
      <section className="panel" aria-label="Answer by answer">
        <header><h2>Answer by answer</h2></header>
        <div className="wide" tabIndex={0} role="group" aria-label="Table of differences">
          <table className="versus">
            <thead><tr><th scope="col">question</th><th scope="col">{cards[0].title}</th><th scope="col">{cards[1].title}</th><th scope="col">difference</th></tr></thead>
            <tbody>
              {tasks.map((task) => {
                const [a, b] = cards.map((card) => card.answers.find((answer) => answer.task === task.name));
                const said = one.answers[task.name] && two.answers[task.name] ? differenceOf(one.answers[task.name], two.answers[task.name]) : "";
                return a && b && (
                  <tr key={task.name} className={/^(the same$|no residue|at most 0)/.test(said) ? "is-same" : ""}>
                    <th scope="row">{task.title}</th>
                    <td>{a.brief}{a.sure && <Surety sure={a.sure} />}</td>
                    <td>{b.brief}{b.sure && <Surety sure={b.sure} />}</td>
                    <td><b>{said}</b></td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      </section>
      {tracks.length > 0 ? (
        <section className="panel" aria-label="Differences along the chain">
          <header><h2>Where they differ</h2><span className="note">second less first: up is more, down is less</span></header>
          <TrackView sequence={two.sequence} tracks={tracks} view={view} />
        </section>
      ) : <p className="note">The two chains have different lengths, so they are not laid along each other.</p>}
    </>
  );
}
