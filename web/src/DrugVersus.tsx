// Two drugs on one protein: how tightly each holds, their chemistry, and which residues hold the one and not the other.
import { useMemo, useState } from "react";
import type { Affinities, Pair } from "./api";
import { Composer, useChecked } from "./Composer";
import { useDrugProtein } from "./Drug";
import { Drawing, DRUGS, Tightness } from "./DrugBox";
import { useLook } from "./look";
import { parameter, setParameter } from "./store";
import type { Track } from "./tracks";
import { TrackView, useWindow } from "./TrackView";
import { betweenNumbers } from "./Versus";
import { signed, Trouble } from "./words";

const [GEFITINIB, ERLOTINIB] = Object.values(DRUGS);

export function DrugVersus() {
  const [protein, setProtein] = useDrugProtein();
  const [drugs, setDrugs] = useState(() => { const [one = GEFITINIB, two = ERLOTINIB] = (parameter("drug") ?? "").split("\n").filter(Boolean); return [one, two]; });
  const { told, trouble, isAsking, start } = useLook<Affinities>("/v1/affinity");
  const { checked } = useChecked(protein);
  const submit = () => {
    setParameter("drug", drugs.join("\n"));
    void start({ sequences: protein, drugs: drugs.join("\n") });
  };
  const isReady = checked?.accepted.length === 1 && drugs.every((one) => one.trim());
  return (
    <>
      <Composer text={protein} setText={setProtein} label="The protein" rows={4} examples={false} />
      <form className="composer" onSubmit={(event) => { event.preventDefault(); submit(); }}>
        {drugs.map((drug, at) => (
          <label key={at}>The {at ? "second" : "first"} drug, as SMILES with its name<input spellCheck={false} value={drug} onChange={(event) => setDrugs(drugs.with(at, event.target.value))} /></label>
        ))}
        <div className="run"><button type="submit" className="main" disabled={!isReady || isAsking}>{isAsking ? "Asking …" : "Compare"}</button></div>
      </form>
      <Trouble problem={trouble} />
      {told && told.refused.map((one) => <Trouble key={one.where} problem={one} />)}
      {told && (told.pairs.length === 2 ? <Beside told={told} /> : <p className="note">The two are one and the same molecule.</p>)}
    </>
  );
}

/** The two pairs in the order in which the drugs were given: the first that was named is the first that is shown. */
function Beside({ told }: { told: Affinities }) {
  const names = Object.keys(told.drugs);
  const pairs = useMemo(() => [...told.pairs].sort((a, b) => names.indexOf(a.answer.drug) - names.indexOf(b.answer.drug)), [told]);
  const [one, two] = pairs, chemistry = pairs.map(({ answer }) => told.drugs[answer.drug]);
  return (
    <>
      <section className="panel" aria-label="Side by side">
        <header><h2>Side by side</h2></header>
        <div className="pairs two">{pairs.map((pair) => <article key={pair.answer.drug}><h3>{pair.answer.drug}</h3><Drawing pair={pair} /><Tightness answer={pair.answer} /><p>{pair.sentence}</p></article>)}</div>
        <p><b>{two.answer.drug} less {one.answer.drug}: {betweenNumbers(one.answer, two.answer)}.</b></p>
        <div className="wide" tabIndex={0} role="group" aria-label="Table of differences">
          <table className="versus">
            <thead><tr><th scope="col">what</th>{pairs.map(({ answer }) => <th scope="col" key={answer.drug}>{answer.drug}</th>)}<th scope="col">difference</th></tr></thead>
            <tbody>
              {Object.entries(chemistry[0].properties).map(([name, value]) => (
                <tr key={name} className={value === chemistry[1].properties[name] ? "is-same" : ""}>
                  <th scope="row" title={told.meanings[name]}>{name.replaceAll("_", " ")}</th><td>{value}</td><td>{chemistry[1].properties[name]}</td>
                  <td><b>{value === chemistry[1].properties[name] ? "the same" : signed(chemistry[1].properties[name] - value)}</b></td>
                </tr>
              ))}
              <tr><th scope="row">structural alerts</th>{chemistry.map((drug, at) => <td key={at}>{drug.alerts.map((alert) => alert.name).join(", ") || "none"}</td>)}<td /></tr>
            </tbody>
          </table>
        </div>
        <p className="note">{told.limits}</p>
      </section>
      {one.residues && two.residues && <Held one={one} two={two} sequence={told.sequences[one.answer.protein]} />}
    </>
  );
}

/** What of the protein each answer rests on, and the difference, along the chain. */
function Held({ one, two, sequence }: { one: Pair; two: Pair; sequence: string }) {
  const tracks = useMemo((): Track[] => {
    const bars = (id: string, title: string, values: number[]): Track => ({ id, title, kind: "bars", values, note: "pKd" });
    return [
      bars("first", `holds ${one.answer.drug}`, one.residues!), bars("second", `holds ${two.answer.drug}`, two.residues!),
      bars("difference", "second less first", two.residues!.map((value, at) => value - one.residues![at])),
    ];
  }, [one, two]);
  const view = useWindow(sequence.length);
  return (
    <section className="panel" aria-label="Differences along the chain">
      <header><h2>What of the protein holds each</h2><span className="note">up speaks for a tighter answer, down against it</span></header>
      <TrackView sequence={sequence} tracks={tracks} view={view} />
    </section>
  );
}
