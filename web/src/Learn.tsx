// The four lessons, given by the real engine; and the game that the first one is about: guess the hidden residue.
import { useEffect, useState } from "react";
import { ask, askOnce, Refused, type Part, type Problem } from "./api";
import { EXAMPLES } from "./Composer";
import { parameter, place, setParameter, useStore } from "./store";
import { NAMES } from "./TrackView";
import { Bars, Trouble } from "./words";

type Guess = { position: number; residue: string; guesses: { residue: string; probability: number }[] };
const UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG";
const PROTEINS: Record<string, string> = { ubiquitin: UBIQUITIN, lysozyme: EXAMPLES.lysozyme.replace(/^>.*\n/, "").trim() };

function Hidden() {
  const [name, setName] = useState("ubiquitin");
  const [at, setAt] = useState<number | null>(null);
  const [mine, setMine] = useState("");
  const [told, setTold] = useState<Guess | null>(null);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const sequence = PROTEINS[name];
  const hide = (position: number) => { setAt(position); setMine(""); setTold(null); setTrouble(null); };
  const guess = async (letter: string) => {
    setMine(letter);
    try {
      setTold(await ask<Guess>("/v1/hidden", { sequences: sequence, position: at }));
    } catch (error) {
      setTrouble((error as Refused).problem);
    }
  };
  const rank = told ? told.guesses.findIndex((one) => one.residue === told.residue) + 1 : 0;
  return (
    <section className="panel game" aria-label="Guess the hidden residue">
      <header><h2>Play: guess the hidden residue</h2><label>protein <select value={name} onChange={(event) => { setName(event.target.value); setAt(null); setTold(null); }}>{Object.keys(PROTEINS).map((one) => <option key={one}>{one}</option>)}</select></label></header>
      <p>This is how a protein language model learns: one residue is covered, and it must say which it was. Cover one, guess, and see what the model expects there.</p>
      <p className="chain">{[...sequence].map((letter, n) => <button type="button" key={n} className={at === n + 1 ? "covered" : ""} aria-label={`cover residue ${n + 1}`} onClick={() => hide(n + 1)}>{at === n + 1 ? (told ? letter : "?") : letter}</button>)}</p>
      {at !== null && !told && (
        <div><p>Residue {at} is covered. Which one was it?</p><p className="letters-choice">{[..."ACDEFGHIKLMNPQRSTVWY"].map((letter) => <button type="button" key={letter} aria-label={NAMES[letter]} disabled={mine !== ""} className={mine === letter ? "firm" : ""} onClick={() => void guess(letter)}>{letter}</button>)}</p></div>
      )}
      <Trouble problem={trouble} />
      {told && (
        <div aria-live="polite">
          <p>It was <b>{NAMES[told.residue]} ({told.residue})</b>. {mine === told.residue ? "You were right." : `You said ${NAMES[mine]}.`} The model put it {rank === 1 ? "first" : `at place ${rank} of 20`}, with a chance of {Math.round(100 * (told.guesses[rank - 1]?.probability ?? 0))}%; a blind guess is 5%.</p>
          <Bars rows={told.guesses.slice(0, 6).map((one) => ({ name: `${NAMES[one.residue]} (${one.residue})`, share: one.probability, firm: one.residue === told.residue }))} />
        </div>
      )}
    </section>
  );
}

function Lesson({ number }: { number: number }) {
  const [parts, setParts] = useState<Part[] | null>(null);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  useEffect(() => {
    setParts(null);
    setTrouble(null);
    askOnce<Part[]>(`/v1/lessons/${number}`).then(setParts, (error: Refused) => setTrouble(error.problem));
  }, [number]);
  if (trouble) return <Trouble problem={trouble} />;
  if (!parts) return <p className="lead" aria-live="polite">The engine gives the lesson now: everything in it is measured while you wait …</p>;
  return (
    <article className="lesson">
      {parts.map((part, at) => {
        switch (part.kind) {
          case "title": return <h2 key={at}>{part.text}</h2>;
          case "heading": return <h3 key={at}>{part.text.replace(/^\d+\s+/, "")}</h3>;
          case "draw": return <pre key={at} className="drawing" tabIndex={0}>{part.text}</pre>;
          case "note": return <p key={at} className="note">{part.text}</p>;
          default: return <p key={at}>{part.text.replace(/\s*Next: anfinsen learn \d\s*$/, "")}</p>;
        }
      })}
    </article>
  );
}

export function Learn() {
  const [list, setList] = useState<{ number: number; title: string; promise: string }[]>([]);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  useStore(place);
  const chosen = Number(parameter("lesson") ?? 0);
  useEffect(() => {
    askOnce<Part[]>("/v1/lessons").then((parts) => {
      const lines = parts.filter((one) => one.kind === "draw").flatMap((one) => one.text.split("\n"));
      setList(lines.map((line) => /^(\d)\s+(.+?)\s{2,}(.+)$/.exec(line)).filter((one) => one !== null).map(([, number, title, promise]) => ({ number: Number(number), title, promise })));
    }, (error: Refused) => setTrouble(error.problem));
  }, []);
  return (
    <main className="narrow">
      <h1>How a network learns</h1>
      <p className="lead">Four short lessons. They run the real engine on 32 real proteins, here and now.</p>
      <Trouble problem={trouble} />
      <ol className="lessons">
        {(list.length ? list : [1, 2, 3, 4].map((number) => ({ number, title: `Lesson ${number}`, promise: "…" }))).map((one) => <li key={one.number}><button type="button" aria-pressed={chosen === one.number} onClick={() => setParameter("lesson", chosen === one.number ? null : String(one.number))}><b>{one.title}</b><span>{one.promise}</span></button></li>)}
      </ol>
      {chosen > 0 && <Lesson number={chosen} />}
      {(chosen === 0 || chosen === 1) && <Hidden />}
      {chosen === 2 && <p><a href="/train">See the same on a table of your own</a></p>}
    </main>
  );
}
