// Two proteins side by side: answer by answer, and along the chain where they have the same length.
import { useEffect, useMemo, useState } from "react";
import { askOnce, plural, type Answer, type Job, type Menu, type Prediction, type ProteinCard } from "./api";
import { arrange } from "./ProteinView";
import { tracksOf, type Track } from "./tracks";
import { TrackView, useWindow } from "./TrackView";
import { figure, signed, Surety } from "./words";

export function betweenNumbers(a: Answer, b: Answer): string {
  const by = b.value - a.value, text = `${signed(by)} ${a.unit ?? ""}`.trim();
  if (a.low === undefined) return text;
  return b.low > a.high || a.low > b.high ? `${text}; the intervals lie apart` : `${text}; the intervals overlap, so this may be nothing`;
}

/** What is between two answers, in words that say no more than their intervals allow. */
export function differenceOf(a: Answer, b: Answer): string {
  if (typeof a.value === "number" && typeof b.value === "number") return betweenNumbers(a, b);
  if (a.label !== undefined) {
    if (a.label !== b.label) return `${a.label} becomes ${b.label}`;
    const by = Math.round(100 * (b.probability - a.probability));
    return by ? `the same, ${by > 0 ? "+" : "−"}${plural(Math.abs(by), "point")} of confidence` : "the same";
  }
  if (Array.isArray(a.labels)) {
    const said = (one: Answer) => new Set((one.labels as { label: string; name?: string; probability: number }[]).filter((x) => x.probability >= 0.5).map((x) => x.name ?? x.label));
    const [x, y] = [said(a), said(b)];
    const gone = [...x].filter((one) => !y.has(one)), come = [...y].filter((one) => !x.has(one));
    return gone.length || come.length ? [come.length && `new: ${come.join(", ")}`, gone.length && `gone: ${gone.join(", ")}`].filter(Boolean).join("; ") : "the same";
  }
  if (typeof a.tokens === "string" && a.tokens.length === b.tokens?.length) {
    const count = [...(a.tokens as string)].filter((letter, at) => letter !== b.tokens[at]).length;
    return count ? `${plural(count, "residue")} ${count === 1 ? "differs" : "differ"}` : "no residue differs";
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
