// Two games with the real model: guess a hidden residue as it had to, and see whether its confidence keeps its promise.
import { useState } from "react";
import { ask, Refused, type Problem } from "./api";
import { EXAMPLES } from "./Composer";
import { useLook } from "./look";
import { NAMES } from "./TrackView";
import { Bars, Trouble } from "./words";

type Guess = { position: number; residue: string; guesses: { residue: string; probability: number }[] };
const UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG";
const PROTEINS: Record<string, string> = { ubiquitin: UBIQUITIN, lysozyme: EXAMPLES.lysozyme.replace(/^>.*\n/, "").trim() };

export function Hidden() {
  const [name, setName] = useState("ubiquitin");
  const [at, setAt] = useState<number | null>(null);
  const [mine, setMine] = useState("");
  const { told: last, trouble, start } = useLook<Guess>("/v1/hidden");
  const sequence = PROTEINS[name];
  const told = last && last.position === at && mine ? last : null;
  const hide = (position: number) => { setAt(position); setMine(""); };
  const guess = (letter: string) => { setMine(letter); void start({ sequences: sequence, position: at }); };
  const rank = told ? told.guesses.findIndex((one) => one.residue === told.residue) + 1 : 0;
  return (
    <section className="panel game" aria-label="Guess the hidden residue">
      <header><h2>Play: guess the hidden residue</h2><label>protein <select value={name} onChange={(event) => { setName(event.target.value); setAt(null); setMine(""); }}>{Object.keys(PROTEINS).map((one) => <option key={one}>{one}</option>)}</select></label></header>
      <p>This is how a protein language model learns: one residue is covered, and it must say which it was. Cover one, guess, and see what the model expects there.</p>
      <p className="chain">{[...sequence].map((letter, n) => <button type="button" key={n} className={at === n + 1 ? "covered" : ""} aria-label={`cover residue ${n + 1}`} onClick={() => hide(n + 1)}>{at === n + 1 ? (told ? letter : "?") : letter}</button>)}</p>
      {at !== null && !told && (
        <div><p>Residue {at} is covered. Which one was it?</p><p className="letters-choice">{[..."ACDEFGHIKLMNPQRSTVWY"].map((letter) => <button type="button" key={letter} aria-label={NAMES[letter]} disabled={mine !== ""} className={mine === letter ? "firm" : ""} onClick={() => guess(letter)}>{letter}</button>)}</p></div>
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

const ROUNDS = 24;
const BANDS: [number, number, string][] = [[0.5, 1.01, "says 50% or more"], [0.15, 0.5, "says 15 to 50%"], [0, 0.15, "says less than 15%"]];

/** A confidence is a promise about many answers: ask many, and count. */
export function Promises() {
  const [answers, setAnswers] = useState<{ said: number; isRight: boolean }[]>([]);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [isRunning, setRunning] = useState(false);
  const sequence = PROTEINS.lysozyme;
  const play = async () => {
    setAnswers([]);
    setTrouble(null);
    setRunning(true);
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const position = 1 + Math.floor((round * sequence.length) / ROUNDS);
        const { guesses: [first], residue } = await ask<Guess>("/v1/hidden", { sequences: sequence, position });
        setAnswers((before) => [...before, { said: first.probability, isRight: first.residue === residue }]);
      }
    } catch (error) {
      setTrouble((error as Refused).problem);
    }
    setRunning(false);
  };
  return (
    <section className="panel game" aria-label="Does it keep its promise?">
      <header><h2>Play: does it keep its promise?</h2></header>
      <p>{ROUNDS} residues of lysozyme are covered one after another. Each time the model says its best guess, and how sure it is. If it says 50% each time, about half of those guesses should be right.</p>
      <p><button type="button" disabled={isRunning} onClick={() => void play()}>{isRunning ? `Residue ${answers.length + 1} of ${ROUNDS} …` : answers.length ? "Again" : "Cover them"}</button></p>
      <Trouble problem={trouble} />
      {answers.length > 0 && (
        <table className="versus" aria-live="polite">
          <thead><tr><th scope="col">when it …</th><th scope="col">said on average</th><th scope="col">was right</th></tr></thead>
          <tbody>{BANDS.map(([from, to, words]) => {
            const mine = answers.filter(({ said }) => said >= from && said < to), right = mine.filter((one) => one.isRight).length;
            return <tr key={words}><th scope="row">{words}</th><td>{mine.length ? `${Math.round((100 * mine.reduce((sum, { said }) => sum + said, 0)) / mine.length)}%` : ""}</td><td>{mine.length ? `${right} of ${mine.length}` : "it never did"}</td></tr>;
          })}</tbody>
        </table>
      )}
      {answers.length === ROUNDS && <p className="note">So few guesses prove little: a coin falls on one side 6 times of 8 now and then. The lesson counts the same for a real question.</p>}
    </section>
  );
}
