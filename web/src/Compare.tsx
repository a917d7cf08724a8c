// What is compared: a wild type with its mutant, any two proteins, or two drugs on one protein.
import { useEffect, useState } from "react";
import { ask, askOnce, Refused, type Job, type Prediction, type Problem } from "./api";
import { Composer, useChecked } from "./Composer";
import { DrugVersus } from "./DrugVersus";
import { go, parameter, setParameter, useAddress } from "./store";
import { Trouble } from "./words";

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

function Proteins() {
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
    <>
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
    </>
  );
}

const WAYS: [string, string][] = [["", "Two proteins"], ["drugs", "Two drugs"]];

export function Compare() {
  const way = useAddress(() => parameter("kind")) ?? "";
  return (
    <main className="narrow">
      <h1>Compare two {way ? "drugs" : "proteins"}</h1>
      <p className="lead">{way ? "Two molecules on one protein." : "A wild type and its mutant, or any two."} Each difference is shown with both intervals: where they overlap, it may be nothing.</p>
      <p className="ways" role="group" aria-label="What is compared">{WAYS.map(([name, words]) => <button type="button" key={name} aria-pressed={way === name} onClick={() => setParameter("kind", name || null)}>{words}</button>)}</p>
      {way ? <DrugVersus /> : <Proteins />}
    </main>
  );
}
