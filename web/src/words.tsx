// Words and small pieces: terms with their explanation, how sure, how near, figures, messages.
import { createContext, useContext, useEffect, useId, useMemo, useRef, useState, type ReactNode } from "react";
import type { Card, Message, Problem, Score, Standing, Sure } from "./api";

export const Terms = createContext<Record<string, string>>({});

/** A word that explains itself when it is asked: by mouse, by finger or by key. */
export function Term({ term, children }: { term: string; children?: ReactNode }) {
  const terms = useContext(Terms);
  const text = terms[term] ?? terms[term.toLowerCase()];
  const [open, setOpen] = useState(false);
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (!open) return;
    const box = button.current!.getBoundingClientRect();
    const width = Math.min(320, innerWidth - 24);
    setLeft(Math.min(0, innerWidth - 12 - width - box.left));
    const shut = (event: KeyboardEvent | PointerEvent) => {
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !button.current?.parentElement?.contains(event.target as Node)) setOpen(false);
    };
    addEventListener("keydown", shut);
    addEventListener("pointerdown", shut);
    return () => {
      removeEventListener("keydown", shut);
      removeEventListener("pointerdown", shut);
    };
  }, [open]);
  if (!text) return <>{children ?? term}</>;
  return (
    <span className="term-place">
      <button ref={button} type="button" className="term" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
        {children ?? term}
      </button>
      {open && (
        <span id={id} role="note" className="term-note" style={{ left }}>
          <b>{term}</b> {text}
        </span>
      )}
    </span>
  );
}

/** A text in which the first use of each term explains itself. */
export function Prose({ text, terms }: { text: string; terms?: Record<string, string> }) {
  const all = useContext(Terms);
  const parts = useMemo(() => {
    const names = Object.keys(terms ?? {}).sort((a, b) => b.length - a.length);
    if (!names.length) return [text];
    const escaped = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const seen = new Set<string>();
    return text.split(new RegExp(`\\b(${escaped.join("|")})\\b`, "i")).map((part, at) => {
      const name = at % 2 ? names.find((one) => one.toLowerCase() === part.toLowerCase()) : undefined;
      if (!name || seen.has(name)) return part;
      seen.add(name);
      return <Term key={at} term={name}>{part}</Term>;
    });
  }, [text, terms]);
  return terms ? <Terms.Provider value={{ ...all, ...terms }}>{parts}</Terms.Provider> : <>{parts}</>;
}

const BANDS: [RegExp, string][] = [[/^very low/, "lowest"], [/^low/, "low"], [/^fair|^medium/, "fair"], [/^high|^narrow/, "high"], [/^wide/, "low"]];
export const bandOf = (word: string) => BANDS.find(([pattern]) => pattern.test(word))?.[1] ?? "none";

/** How sure an answer is: the field's colour, the word and the figure. */
export function Surety({ sure }: { sure: Sure }) {
  const isRange = !sure.word.endsWith("confidence");
  return (
    <span className={`sure band-${bandOf(sure.word)}`} title={sure.meaning}>
      <i aria-hidden="true" />
      <Term term={isRange ? "interval" : "confidence"}>{sure.word}</Term> <b>{sure.figure}</b>
    </span>
  );
}

export function Nearness({ near }: { near: NonNullable<Card["near"]> }) {
  return (
    <span className={near.far ? "near far" : "near"} title={near.reason}>
      <Term term="near and far">{near.far ? "far from training: a guess" : "near to training"}</Term>
    </span>
  );
}

export function Messages({ messages }: { messages: Message[] }) {
  if (!messages.length) return null;
  return (
    <ul className="messages">
      {messages.map((one, at) => (
        <li key={at} className={one.level}>
          <b>{{ info: "Note", mended: "Mended", warning: "Mind" }[one.level]}</b> {one.text}
          {one.position ? ` (residue ${one.position})` : ""}
        </li>
      ))}
    </ul>
  );
}

export function Trouble({ problem, children }: { problem: Problem | null; children?: ReactNode }) {
  if (!problem) return null;
  return (
    <div className="trouble" role="alert">
      <p>
        <b>{problem.where && problem.where !== "sequences" ? `${problem.where}: ` : ""}{problem.reason}</b> {problem.remedy}
      </p>
      {children}
    </div>
  );
}

export const figure = (value: number) => {
  const size = Math.abs(value);
  const text = size >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(size >= 100 ? 0 : size >= 1 ? 1 : 2);
  return text.replace("-", "−");
};

export const signed = (value: number) => `${value > 0 ? "+" : ""}${figure(value)}`;

/** One number with its interval on the axis where most proteins of the training lie. */
export function RangeLine({ value, low, high, span, unit }: { value: number; low?: number; high?: number; span: number[]; unit: string }) {
  const ends = span.length ? span : [low ?? value - 1, high ?? value + 1];
  const least = Math.min(ends[0], low ?? value), most = Math.max(ends[1], high ?? value);
  const at = (x: number) => `${(100 * (x - least)) / (most - least || 1)}%`;
  return (
    <div className="range" role="img" aria-label={`${figure(value)} ${unit}${low === undefined ? "" : `, nine times in ten between ${figure(low)} and ${figure(high!)}`}`}>
      <div className="axis">
        {low !== undefined && high !== undefined && <div className="reach" style={{ left: at(low), width: `calc(${at(high)} - ${at(low)})` }} />}
        <div className="dot" style={{ left: at(value) }} />
      </div>
      <div className="ends"><span>{figure(least)}</span><span>{figure(most)} {unit}</span></div>
    </div>
  );
}

export function Bars({ rows }: { rows: { name: string; share: number; firm?: boolean }[] }) {
  return (
    <ul className="bars">
      {rows.map((row) => (
        <li key={row.name} className={row.firm ? "firm" : ""}>
          <span>{row.name}</span>
          <i aria-hidden="true"><i style={{ width: `${100 * row.share}%` }} /></i>
          <b>{row.share < 0.01 ? "<1%" : row.share > 0.99 && row.share < 1 ? ">99%" : `${Math.round(100 * row.share)}%`}</b>
        </li>
      ))}
    </ul>
  );
}

/** How good answers like this one are: the score with its interval, and who stands beside it. */
export function StandingView({ standing }: { standing: Standing }) {
  const { rows } = standing;
  const values = rows.flatMap((row) => [row.value, row.low ?? row.value, row.high ?? row.value]);
  const least = Math.min(0, ...values), most = Math.max(...values) || 1;
  const at = (x: number) => (100 * (x - least)) / (most - least);
  return (
    <div className="standing">
      <p><b>{standing.headline}</b>; {standing.circumstance}. {standing.verdict}</p>
      <table>
        <caption className="unseen">Scores beside each other</caption>
        <tbody>
          {rows.map((row: Score, number) => (
            <tr key={number} className={row.kind}>
              <th scope="row">{row.model}{row.kind === "published" ? " (published)" : row.kind === "baseline" ? " (baseline)" : ""}</th>
              <td className="plot">
                <span className="line" aria-hidden="true">
                  {row.low !== null && row.high !== null && <i style={{ left: `${at(row.low)}%`, width: `${at(row.high) - at(row.low)}%` }} />}
                  <b style={{ left: `${at(row.value)}%` }} />
                </span>
              </td>
              <td>{row.value.toPrecision(3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="note">{standing.metric}: {standing.lower_is_better ? "smaller is better" : "larger is better"}. Bars are 95% intervals.</p>
    </div>
  );
}
