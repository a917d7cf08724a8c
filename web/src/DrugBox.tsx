// Molecules for one protein: drawn by the server, the atoms that hold coloured, each with its interval and its chemistry.
import { useEffect, useState } from "react";
import type { Affinities, Answer, Pair } from "./api";
import { useLook } from "./look";
import { go, parameter, setParameter } from "./store";
import { figure, Messages, Prose, Trouble } from "./words";

export const DRUGS: Record<string, string> = {
  gefitinib: "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1 gefitinib",
  erlotinib: "C#Cc1cccc(Nc2ncnc3cc(OCCOC)c(OCCOC)cc23)c1 erlotinib",
  aspirin: "CC(=O)Oc1ccccc1C(=O)O aspirin",
};
const SCALE = [4, 11];
const at = (pkd: number) => `${(100 * (Math.max(SCALE[0], Math.min(SCALE[1], pkd)) - SCALE[0])) / (SCALE[1] - SCALE[0])}%`;

/** How tightly one molecule holds, on the scale of all. */
export function Tightness({ answer }: { answer: Answer }) {
  return (
    <div className="range" role="img" aria-label={`pKd ${figure(answer.value)}, nine times in ten between ${figure(answer.low)} and ${figure(answer.high)}`}>
      <div className="axis">
        <div className="reach" style={{ left: at(answer.low), width: `calc(${at(answer.high)} - ${at(answer.low)})` }} />
        <div className="dot" style={{ left: at(answer.value) }} />
      </div>
      <div className="ends"><span>4 hardly</span><span>pKd</span><span>11 very tightly</span></div>
    </div>
  );
}

/** The structural formula, drawn by the server. */
export function Drawing({ pair }: { pair: Pair }) {
  if (!pair.drawing) return null;
  return <img src={`data:image/svg+xml;utf8,${encodeURIComponent(pair.drawing)}`} alt={`Structural formula of ${pair.answer.drug}; atoms that hold the answer up are blue`} width={240} height={174} />;
}

function PairView({ pair, told, show }: { pair: Pair; told: Affinities; show?: (residues: number[]) => void }) {
  const { answer } = pair, drug = told.drugs[answer.drug];
  const [isOpen, setOpen] = useState(false);
  return (
    <li className={answer.reach.far ? "pair is-far" : "pair"}>
      <Drawing pair={pair} />
      <div>
        <h3>{answer.drug} <span className="note">with {answer.protein}</span></h3>
        <p><Prose text={pair.sentence} terms={told.terms} /></p>
        <Tightness answer={answer} />
        <p className="trust"><span className={answer.reach.far ? "near far" : "near"}>{answer.reach.far ? "far from training: a guess" : "near to training"}</span></p>
        {pair.faith && <p className="note">{pair.faith}</p>}
        {drug && <Messages messages={drug.messages} />}
        <p className="doors-small">
          <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>chemistry</button>
          {pair.residues && show && <button type="button" onClick={() => show(pair.residues!)}>show on the chain</button>}
        </p>
        {isOpen && drug && (
          <div className="fold">
            <table className="plain"><tbody>
              {Object.entries(drug.properties).map(([name, value]) => <tr key={name}><th scope="row" title={told.meanings[name]}>{name.replaceAll("_", " ")}</th><td>{value}</td><td className="note">{told.meanings[name]}</td></tr>)}
            </tbody></table>
            <p>{drug.alerts.length ? `Structural alerts: ${drug.alerts.map((one) => `${one.name} (${one.catalog})`).join(", ")}.` : "No structural alert."}</p>
            <p className="raw">{drug.smiles}</p>
          </div>
        )}
      </div>
    </li>
  );
}

export function DrugBox({ proteins, show }: { proteins: string | { id: string; sequence: string }[]; show?: (residues: number[]) => void }) {
  const [text, setText] = useState(parameter("drug") ?? "");
  const { told, trouble, isAsking, start: look } = useLook<Affinities>("/v1/affinity");
  const start = (drugs: string) => {
    setParameter("drug", drugs.length < 1500 ? drugs : null);
    void look({ sequences: proteins, drugs });
  };
  useEffect(() => {
    if (text && proteins.length) start(text);
    // only what stands in the address is asked by itself
    // eslint-disable-next-line
  }, []);
  return (
    <div className="drugs">
      <form onSubmit={(event) => { event.preventDefault(); start(text); }}>
        <label>
          Molecules as SMILES, one a line, a name behind each if you like
          <textarea rows={3} spellCheck={false} value={text} onChange={(event) => setText(event.target.value)} placeholder="CC(=O)Oc1ccccc1C(=O)O aspirin" />
        </label>
        <div className="composer-foot">
          <span className="examples"><span className="note">Try</span>{Object.entries(DRUGS).map(([name, line]) => <button type="button" key={name} onClick={() => setText(text.trim() && !text.includes(line) ? `${text.trim()}\n${line}` : line)}>{name}</button>)}</span>
          <span className="spring" />
          <button type="submit" className="main" disabled={!text.trim() || !proteins.length || isAsking}>{isAsking ? "Asking …" : "How tightly?"}</button>
        </div>
      </form>
      <Trouble problem={trouble} />
      {told && (
        <>
          {told.pairs.length === 2 && told.pairs[0].answer.protein === told.pairs[1].answer.protein && (
            <p><button type="button" onClick={() => go(`/compare?kind=drugs&drug=${encodeURIComponent(told.pairs.map(({ answer }) => `${told.drugs[answer.drug].smiles} ${answer.drug}`).join("\n"))}`)}>Set the two against each other</button></p>
          )}
          <ul className="pairs">{told.pairs.map((one) => <PairView key={`${one.answer.protein} ${one.answer.drug}`} pair={one} told={told} show={show} />)}</ul>
          {told.refused.length > 0 && <ul className="problems">{told.refused.map((one, n) => <li key={n} className="refused"><b>{one.where}</b> {one.reason} <span className="note">{one.remedy}</span></li>)}</ul>}
          <p className="note">{told.limits}</p>
        </>
      )}
    </div>
  );
}
