// Where something could bind: pockets as sentences, each selected everywhere by one click.
import { about, plural, type SiteAnswer, type SitesTold } from "./api";
import type { Look } from "./look";
import { select, type Span } from "./store";
import { Messages, Prose, Trouble } from "./words";

/** Residues as runs of neighbours. */
export function spansOf(residues: number[]): Span[] {
  const found: Span[] = [];
  for (const one of [...residues].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last && one === last[1] + 1) last[1] = one;
    else found.push([one, one]);
  }
  return found;
}

export function SitesPanel({ siting, found, find, wait }: { siting: Look<SitesTold>; found: SiteAnswer | null; find: () => void; wait: number | undefined }) {
  return (
    <section className={found ? "panel" : "panel fold-ask"} aria-label="Sites">
      <header><h2>Where could something bind?</h2>{found && <span className="note">by {{ structure: "its structure", fold: "a predicted fold", contacts: "predicted contacts", sequence: "its sequence alone" }[found.ground] ?? found.ground}</span>}</header>
      {!found && (siting.isAsking
        ? <div aria-live="polite"><p className="note">Looking for hollows and for residues that hold ligands …</p><progress aria-label="looking" /></div>
        : <p className="composer-foot"><button type="button" onClick={find}>Find sites</button>{wait !== undefined && <span className="note">it is folded first: {about(wait)}</span>}</p>)}
      <Trouble problem={siting.trouble} />
      {found && (
        <>
          <p><Prose text={found.sentence} terms={siting.told?.terms} /></p>
          {found.pockets.length > 0 && (
            <ul className="pockets">
              {found.pockets.map((one) => (
                <li key={one.rank} className={one.chance < 0.5 && !one.known ? "is-unlikely" : ""}>
                  <button type="button" onClick={() => select(spansOf(one.residues))} aria-label={`Select the ${plural(one.residues.length, "residue")} of pocket ${one.rank}`}>select</button>
                  <span>{one.sentence}</span>
                </li>
              ))}
            </ul>
          )}
          <Messages messages={found.messages} />
          <p className="note">{siting.told?.limits}</p>
        </>
      )}
    </section>
  );
}
