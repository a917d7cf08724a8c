// The four lessons, given by the real engine a step at a time, and the games that the first and the last are about.
import { useEffect, useState } from "react";
import { askOnce, Refused, type Part, type Problem } from "./api";
import { Hidden, Promises } from "./Games";
import { parameter, place, setParameter, useStore } from "./store";
import { Trouble } from "./words";

/** A lesson in steps: whoever reads asks for the next one, or for all. */
function Lesson({ number }: { number: number }) {
  const [parts, setParts] = useState<Part[] | null>(null);
  const [steps, setSteps] = useState(1);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  useEffect(() => {
    setParts(null);
    setSteps(1);
    setTrouble(null);
    askOnce<Part[]>(`/v1/lessons/${number}`).then(setParts, (error: Refused) => setTrouble(error.problem));
  }, [number]);
  if (trouble) return <Trouble problem={trouble} />;
  if (!parts) return <p className="lead" aria-live="polite">The engine gives the lesson now: everything in it is measured while you wait …</p>;
  const begins = parts.map((part, at) => (part.kind === "heading" ? at : -1)).filter((at) => at >= 0);
  const end = begins[steps] ?? parts.length;
  return (
    <article className="lesson" aria-live="polite">
      {parts.slice(0, end).map((part, at) => {
        switch (part.kind) {
          case "title": return <h2 key={at}>{part.text}</h2>;
          case "heading": return <h3 key={at}>{part.text.replace(/^\d+\s+/, "")}</h3>;
          case "draw": return <pre key={at} className="drawing" tabIndex={0}>{part.text}</pre>;
          case "note": return <p key={at} className="note">{part.text}</p>;
          default: return <p key={at}>{part.text.replace(/\s*Next: anfinsen learn \d\s*$/, "")}</p>;
        }
      })}
      {end < parts.length && (
        <p className="composer-foot">
          <button type="button" className="main" onClick={() => setSteps(steps + 1)}>Go on</button>
          <button type="button" className="quiet" onClick={() => setSteps(begins.length)}>all of it</button>
          <span className="note">step {steps} of {begins.length}</span>
        </p>
      )}
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
      {(chosen === 0 || chosen === 4) && <Promises />}
      {chosen === 2 && <p><a href="/train">See the same on a table of your own</a></p>}
    </main>
  );
}
