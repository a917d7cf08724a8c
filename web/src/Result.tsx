// A job at its address: cards fill as they finish, many proteins become a table, two can be set against each other.
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ask, askOnce, ENDED, follow, plural, Refused, type Job, type Menu, type Prediction, type Problem, type ProteinCard, type Question, type Task } from "./api";
import { isStructure, ProblemLine } from "./Problems";
import { Exports } from "./Exports";
import { arrange, ProteinView } from "./ProteinView";
import { csvOf } from "./ResidueTable";
import { parameter, setParameter, useAddress } from "./store";
import { CompareView } from "./Versus";
import { Surety, Trouble } from "./words";

const SHOWN = 500;

/** A job and its proteins, kept up to date by its events until it has ended. */
export function useJob(id: string) {
  const [job, setJob] = useState<Job | null>(null);
  const [cards, setCards] = useState<ProteinCard[]>([]);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  useEffect(() => {
    setJob(null);
    setCards([]);
    setTrouble(null);
    const found = new Map<number, ProteinCard>();
    let shut = () => {}, drawing = 0;
    ask<Job>(`/v1/jobs/${id}`).then((first) => {
      setJob(first);
      shut = follow(first.links.events, {
        protein: (card: ProteinCard) => {
          found.set(card.number, card);
          drawing ||= requestAnimationFrame(() => { drawing = 0; setCards([...found.values()].sort((a, b) => a.number - b.number)); });
        },
        job: (now: Job) => { setJob(now); return ENDED.includes(now.state); },
      });
    }).catch((error: Refused) => setTrouble(error.problem));
    return () => { shut(); cancelAnimationFrame(drawing); };
  }, [id]);
  return { job, cards, trouble };
}

function Waiting({ job, menu, question }: { job: Job; menu: Menu; question: Question | null }) {
  const text = typeof question?.sequences === "string" ? question.sequences : "";
  const residues = isStructure(text) ? 0 : text.replace(/^>.*$/gm, "").replace(/[^A-Za-z]/g, "").length;
  return (
    <>
      <p className="lead" aria-live="polite">{residues > 0 && `${plural(residues, "residue")} are being read. `}{job.sentence}</p>
      <div className="cards" aria-hidden="true">{arrange(menu).filter((one) => job.tasks.includes(one.name)).map((one) => <article key={one.name} className="card empty"><header><h3>{one.title}</h3></header><p className="note">{one.question}</p></article>)}</div>
    </>
  );
}

/** All proteins as a table to take home: of each answer its words, how sure it is, and whether it is a guess. */
function proteinCsv(cards: ProteinCard[], tasks: Task[]): string {
  const heads = tasks.flatMap((one) => [one.title, `${one.title}: how sure`, `${one.title}: far from training`]);
  const rows = cards.map((card) => [card.title, String(card.length), ...tasks.flatMap((task) => {
    const one = card.answers.find((answer) => answer.task === task.name);
    return [one?.brief ?? "", one?.sure ? `${one.sure.word} ${one.sure.figure}` : "", one?.near ? (one.near.far ? "yes" : "no") : ""];
  })]);
  return csvOf([["protein", "residues", ...heads], ...rows]);
}

function ProteinTable({ cards, job, menu, current, choose }: { cards: ProteinCard[]; job: Job; menu: Menu; current: number | null; choose: (number: number) => void }) {
  const [by, setBy] = useState<{ column: string; down: boolean }>({ column: "", down: false });
  const [sought, setSought] = useState("");
  const [isFarOut, setFarOut] = useState(false);
  const tasks = useMemo(() => arrange(menu).filter((one) => job.tasks.includes(one.name)), [menu, job.tasks]);
  const rows = useMemo(() => {
    const value = (card: ProteinCard) => {
      if (!by.column) return card.number;
      if (by.column === "protein") return card.title.toLowerCase();
      if (by.column === "length") return card.length;
      const brief = card.answers.find((one) => one.task === by.column)?.brief ?? "";
      const number = Number.parseFloat(brief.replace("−", "-"));
      return Number.isNaN(number) ? brief.toLowerCase() : number;
    };
    const found = cards.filter((one) => (!sought || one.title.toLowerCase().includes(sought.toLowerCase()) || one.answers.some((answer) => answer.brief.toLowerCase().includes(sought.toLowerCase()))) && (!isFarOut || one.answers.some((answer) => answer.near && !answer.near.far)));
    const sign = by.down ? -1 : 1;
    return found.sort((a, b) => { const [x, y] = [value(a), value(b)]; return sign * (typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === "number" ? -1 : 1); });
  }, [cards, by, sought, isFarOut]);
  const head = (column: string, title: string) => (
    <th key={column} scope="col" aria-sort={by.column === column ? (by.down ? "descending" : "ascending") : "none"}>
      <button type="button" onClick={() => setBy({ column, down: by.column === column && !by.down })}>{title}</button>
    </th>
  );
  return (
    <section className="panel" aria-label="All proteins">
      <header>
        <h2>A row each</h2>
        <span className="note" aria-live="polite">{job.sentence}</span>
        <span className="spring" />
        <input aria-label="Filter by name or answer" placeholder="filter" value={sought} onChange={(event) => setSought(event.target.value)} />
        <label className="check"><input type="checkbox" checked={isFarOut} onChange={() => setFarOut(!isFarOut)} /> hide those far from training</label>
      </header>
      {!ENDED.includes(job.state) && <progress max={job.asked} value={job.answered} aria-label="answered" />}
      <div className="wide" tabIndex={0} role="group" aria-label="Table of proteins">
        <table className="proteins">
          <thead><tr>{head("protein", "protein")}{head("length", "residues")}{tasks.map((one) => head(one.name, one.title))}</tr></thead>
          <tbody>
            {rows.slice(0, SHOWN).map((card) => (
              <tr key={card.number} aria-selected={card.number === current}>
                <th scope="row"><a href={`/r/${job.id}?p=${card.number}`} onClick={(event) => { event.preventDefault(); choose(card.number); }}>{card.title}</a></th>
                <td>{card.length}</td>
                {tasks.map((task) => {
                  const one = card.answers.find((answer) => answer.task === task.name);
                  return <td key={task.name} className={one?.near?.far ? "is-far" : ""} title={one?.sentence}>{one?.brief ?? ""}{one?.near?.far && <span className="unseen"> (far from training)</span>}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > SHOWN && <p className="note">The first {SHOWN} of {rows.length.toLocaleString("en")} are shown; the files hold all.</p>}
      <p className="note">Pale answers are far from what the model has learned from: guesses. {tasks.length > 5 && "The table goes on to the right."}</p>
    </section>
  );
}

export function Result({ id, menu }: { id: string; menu: Menu }) {
  const { job, cards, trouble } = useJob(id);
  useAddress(() => `${parameter("p")} ${parameter("view")}`);
  const [question, setQuestion] = useState<Question | null>(null);
  const [prediction, setPrediction] = useState<Prediction | null>(null);
  const csv = useRef<(() => string) | null>(null);
  const exportAs = useCallback((make: (() => string) | null) => { csv.current = make; }, []);
  const asked = parameter("p");
  const number = asked === null ? (job?.asked === 1 ? 0 : null) : Number(asked);
  const card = cards.find((one) => one.number === number) ?? null;
  const hasCard = card !== null;
  useEffect(() => { askOnce<Question>(`/v1/jobs/${id}/request`).then(setQuestion, () => {}); }, [id]);
  useEffect(() => {
    setPrediction(null);
    let isGone = false;
    if (hasCard) askOnce<Prediction>(`/v1/jobs/${id}/answers/${number}`).then((one) => !isGone && setPrediction(one), () => {});
    return () => { isGone = true; };
  }, [id, number, hasCard]);
  const title = card?.title ?? (job?.asked && job.asked > 1 ? plural(job.asked, "protein") : "");
  useEffect(() => { document.title = title ? `${title} · Anfinsen` : "Anfinsen"; }, [title]);
  if (trouble) return <main className="narrow"><h1>This answer is not here</h1><Trouble problem={trouble} /><p><a href="/">Ask again</a></p></main>;
  if (!job) return <main className="narrow"><p className="lead">Opening …</p></main>;
  const structure = typeof question?.sequences === "string" && isStructure(question.sequences) ? question.sequences : null;
  const isComparing = parameter("view") === "compare" && job.asked === 2;
  return (
    <main>
      <div className="title">
        <div>
          <h1>{isComparing ? "Two proteins, side by side" : card ? card.title : job.asked === 1 ? "Reading …" : plural(job.asked, "protein")}</h1>
          {card && <p className="lead">{prediction?.description ? `${prediction.description.split(" ").slice(0, 30).join(" ")} · ` : ""}{plural(card.length, "residue")}</p>}
        </div>
        <Exports job={job} question={question} prediction={prediction} csv={() => (card && csv.current ? csv.current() : proteinCsv(cards, arrange(menu).filter((one) => job.tasks.includes(one.name))))} />
      </div>
      {job.state === "failed" && <div className="trouble" role="alert"><p>{job.sentence}</p></div>}
      {job.refused.length > 0 && <details className="panel" open={job.refused.length < 4}><summary>{plural(job.refused.length, "record")} refused</summary><ul className="problems">{job.refused.map((one, at) => <ProblemLine key={at} problem={one} />)}</ul></details>}
      {job.merged.length > 0 && <details className="panel"><summary>{plural(job.merged.length, "record")} stood there twice</summary><ul>{job.merged.map((one) => <li key={one}>{one}</li>)}</ul></details>}
      {job.asked > 1 && !isComparing && <ProteinTable cards={cards} job={job} menu={menu} current={number} choose={(one) => setParameter("p", String(one))} />}
      {job.asked === 2 && !isComparing && <p><button type="button" onClick={() => setParameter("view", "compare")}>Set the two against each other</button></p>}
      {isComparing ? <CompareView job={job} cards={cards} menu={menu} />
        : card ? <ProteinView key={`${id} ${number}`} job={id} card={card} prediction={prediction} menu={menu} structure={structure} isAlone={job.asked === 1} exportAs={exportAs} />
          : job.asked === 1 && !ENDED.includes(job.state) && <Waiting job={job} menu={menu} question={question} />}
      {card && <p className="foot-note">{card.answers.some((one) => one.sure) && <Legend />}</p>}
    </main>
  );
}

/** The field's colours, each with its word. */
function Legend() {
  return (
    <span className="legend-line">
      {["high confidence", "fair confidence", "low confidence", "very low confidence"].map((word, at) => <Surety key={word} sure={{ word, figure: ["90% and above", "70 to 90%", "50 to 70%", "below 50%"][at], meaning: "" }} />)}
    </span>
  );
}
