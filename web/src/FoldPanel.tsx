// Where no structure was given: what folding it here would take, before anybody waits for it.
import { about, type Folded } from "./api";
import type { Look } from "./look";
import { Trouble } from "./words";

/** `seconds` tells by the length of a chain how long one takes; a chain beyond its end is not folded here. */
export function FoldPanel({ length, seconds, folding, fold }: { length: number; seconds: number[]; folding: Look<Folded>; fold: () => void }) {
  const wait = seconds[length];
  return (
    <section className="panel fold-ask" aria-label="Structure in 3-D">
      <header><h2>In space</h2><span className="note">no structure was given</span></header>
      {wait === undefined ? (
        <p>Chains of more than {seconds.length - 1} residues are not folded here. AlphaFold DB may hold this protein: give its id, such as AF-P00533-F1, on the first screen.</p>
      ) : folding.isAsking ? (
        <div aria-live="polite"><p>Folding {length} residues, {about(wait)} …</p><progress aria-label="folding" /></div>
      ) : (
        <p className="composer-foot"><button type="button" onClick={fold}>Fold it here</button> <span className="note">{length} residues: {about(wait)}, with a confidence for each residue</span></p>
      )}
      <Trouble problem={folding.trouble} />
    </section>
  );
}
