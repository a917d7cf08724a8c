// The drug screen: proteins and molecules, each with each.
import { useState } from "react";
import { Composer, EXAMPLES } from "./Composer";
import { DrugBox } from "./DrugBox";

const KEPT = "anfinsen-drug-protein";

/** The protein that drugs are asked about, kept while the tab is open. */
export function useDrugProtein(): [string, (text: string) => void] {
  const [text, set] = useState(() => sessionStorage.getItem(KEPT) ?? EXAMPLES["EGFR kinase"]);
  return [text, (now) => { sessionStorage.setItem(KEPT, now); set(now); }];
}

export function Drug() {
  const [text, setText] = useDrugProtein();
  return (
    <main className="narrow">
      <h1>How tightly does a drug hold it?</h1>
      <p className="lead">Each answer comes with an interval, with what of the molecule holds, and with whether either side is new to the model.</p>
      <Composer text={text} setText={setText} label="The protein" rows={4} examples={false} />
      <section className="panel" aria-label="Molecules"><header><h2>Molecules</h2></header>
        <DrugBox proteins={text} />
      </section>
    </main>
  );
}
