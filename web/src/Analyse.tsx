// The first screen: one box, and what it will do. Several proteins are asked as a batch by the same box.
import { useState } from "react";
import { ask, Refused, type Job, type Menu, type Problem } from "./api";
import { Composer } from "./Composer";
import { go } from "./store";
import { Trouble } from "./words";

export function Analyse({ menu }: { menu: Menu }) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState<string[]>([]);
  const [conditions, setConditions] = useState<Record<string, string>>({});
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [isAsking, setAsking] = useState(false);
  const tasks = menu.tasks.filter((one) => !one.of_pairs);
  const known = new Map(tasks.filter((one) => !chosen.length || chosen.includes(one.name)).flatMap((one) => one.conditions).map((one) => [one.name, one]));
  const start = async () => {
    setAsking(true);
    setTrouble(null);
    try {
      const given = Object.entries(conditions).filter(([name, value]) => known.has(name) && value.trim()).map(([name, value]) => [name, Number(value)]);
      const question = { sequences: text, tasks: chosen, conditions: Object.fromEntries(given) };
      const job = await ask<Job>("/v1/jobs", question);
      go(`/r/${job.id}`);
    } catch (error) {
      setTrouble((error as Refused).problem);
      setAsking(false);
    }
  };
  return (
    <main className="narrow">
      <h1>What is this protein, and what does it do?</h1>
      <p className="lead">
        {tasks.length} questions are answered at once by a model that runs on this machine. Every answer says how sure it is,
        and whether the protein is far from anything the model has seen.
      </p>
      <form onSubmit={(event) => { event.preventDefault(); void start(); }}>
        <Composer text={text} setText={setText} label="A sequence, several as FASTA, or a structure">
          <details className="choices">
            <summary>Which questions, and under which conditions?</summary>
            <fieldset>
              <legend className="note">None chosen means all that fit</legend>
              <div className="checks">
                {tasks.map((one) => (
                  <label key={one.name}>
                    <input type="checkbox" checked={chosen.includes(one.name)} onChange={() => setChosen(chosen.includes(one.name) ? chosen.filter((name) => name !== one.name) : [...chosen, one.name])} />
                    {one.title}
                  </label>
                ))}
              </div>
            </fieldset>
            <div className="conditions">
              {[...known.values()].map((one) => (
                <label key={one.name}>
                  {one.meaning.replace(/\.$/, "")}{one.unit && `, ${one.unit}`}
                  <input type="number" step="any" value={conditions[one.name] ?? ""} onChange={(event) => setConditions({ ...conditions, [one.name]: event.target.value })} placeholder="not told" />
                </label>
              ))}
            </div>
          </details>
          <div className="run"><button type="submit" className="main" disabled={!text.trim() || isAsking}>{isAsking ? "Asking …" : "Analyse"}</button></div>
        </Composer>
      </form>
      <Trouble problem={trouble} />
      <section className="doors" aria-label="What else can be done here">
        <a href="/compare" onClick={(event) => { event.preventDefault(); go("/compare"); }}><b>Compare</b><span>A wild type and its mutant, answer by answer</span></a>
        <a href="/drug" onClick={(event) => { event.preventDefault(); go("/drug"); }}><b>Drug</b><span>How tightly molecules hold a protein</span></a>
        <a href="/train" onClick={(event) => { event.preventDefault(); go("/train"); }}><b>Train</b><span>A model of your own, from one CSV file</span></a>
        <a href="/learn" onClick={(event) => { event.preventDefault(); go("/learn"); }}><b>Learn</b><span>What happens inside, in four lessons</span></a>
      </section>
    </main>
  );
}
