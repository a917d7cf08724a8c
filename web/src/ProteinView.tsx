// One protein: its answers in sentences, everything along its residues on one ruler, its shape, its mutations, its drugs.
import { memo, useEffect, useMemo, useState } from "react";
import type { Explanation, Folded, Menu, Prediction, ProteinCard, Scan, SitesTold, Task } from "./api";
import { CardView } from "./CardView";
import { DrugBox } from "./DrugBox";
import { FoldPanel } from "./FoldPanel";
import { HeatMap, type Cell } from "./HeatMap";
import { useLook } from "./look";
import { Mutations } from "./Mutations";
import { PartnerBox } from "./Partner";
import { columnsOf, residueCsv, ResidueTable, type Column } from "./ResidueTable";
import { SitesPanel } from "./Sites";
import { plddtOf } from "./plddt";
import { StructurePanel } from "./StructurePanel";
import { parameter, selection, setParameter } from "./store";
import { tracksOf, type Track } from "./tracks";
import { TrackView, useWindow } from "./TrackView";
import { Messages, Surety, Trouble } from "./words";

const SCANNED = 400;
/** Longer chains are scanned when they are asked to be. */

export function arrange(menu: Menu): Task[] {
  return [...menu.tasks].sort((a, b) => a.place - b.place || Number(b.leads) - Number(a.leads) || a.title.localeCompare(b.title));
}

const firstSentence = (text: string) => text.split(/(?<=[.!?])\s+(?=[A-Z])/)[0];

function Lead({ card, groups }: { card: ProteinCard; groups: [string, string[]][] }) {
  return (
    <ul className="spoken">
      {groups.map(([group, names]) => {
        const one = card.answers.find((answer) => answer.task === names[0]);
        return one && (
          <li key={group}>
            <span className="group">{group}</span>
            <span>{firstSentence(one.sentence)} {one.sure && <Surety sure={one.sure} />} {one.near?.far && <span className="near far">a guess</span>}</span>
          </li>
        );
      })}
    </ul>
  );
}

/** Drawn again only when its protein changes: the selection is told to those who show it, and to nobody else. */
export const ProteinView = memo(function ProteinView({ job, card, prediction, menu, structure, isAlone, exportAs }: {
  job: string; card: ProteinCard; prediction: Prediction | null; menu: Menu; structure: string | null; isAlone: boolean;
  exportAs: (make: (() => string) | null) => void;
}) {
  const tasks = useMemo(() => arrange(menu), [menu]);
  const byName = useMemo(() => new Map(tasks.map((one) => [one.name, one])), [tasks]);
  const [explained, setExplained] = useState<Explanation | null>(null);
  const scanning = useLook<Scan>("/v1/scan"), scan = scanning.told;
  const folding = useLook<Folded>("/v1/fold"), folded = folding.told;
  const siting = useLook<SitesTold>("/v1/sites"), sites = siting.told?.proteins.find((one) => one.id === prediction?.id) ?? null;
  const [cell, choose] = useState<Cell | null>(null);
  const [held, hold] = useState<number[] | null>(null);
  const [showsTable, setTable] = useState(false);
  const view = useWindow(prediction?.sequence.length ?? card.length);
  const groups = useMemo(() => {
    const found = new Map<string, string[]>();
    for (const task of tasks) if (card.answers.some((one) => one.task === task.name)) found.set(task.group, [...(found.get(task.group) ?? []), task.name]);
    const known = new Set(tasks.map((one) => one.name));
    for (const one of card.answers) if (!known.has(one.task)) found.set(one.group || "Other", [...(found.get(one.group || "Other") ?? []), one.task]);
    return [...found];
  }, [tasks, card]);
  const sequence = prediction?.sequence ?? "";
  const chain = /:([^:]+)$/.exec(prediction?.id ?? "")?.[1] ?? "A";
  const tracks = useMemo((): Track[] => {
    if (!prediction) return [];
    const found = tracksOf(prediction, byName, groups.flatMap(([, names]) => names));
    if (structure && prediction.numbering && prediction.messages.some((one) => /looks like a predicted structure/.test(one.text))) {
      found.unshift({ id: "plddt", title: "Confidence (pLDDT)", kind: "sure", values: plddtOf(structure, chain, prediction.numbering) });
    }
    if (folded) found.unshift({ id: "plddt", title: "Confidence (pLDDT)", kind: "sure", values: folded.plddt });
    if (explained) {
      const title = `why: ${byName.get(explained.task)?.title ?? explained.task}`;
      found.unshift({ id: "why", title, kind: "bars", values: explained.credits[explained.better], note: explained.unit });
    }
    if (held) found.unshift({ id: "drug", title: "what holds the drug", kind: "bars", values: held, note: "pKd" });
    if (sites) {
      const kinds = new Set(sites.pockets.map((one) => `sites:${one.kind}`)); // of a dozen kinds those that were found
      found.push(...tracksOf({ ...prediction, answers: { sites: sites.answer } }, new Map(), ["sites"]).filter((one) => one.kind === "columns" && (kinds.size ? kinds.has(one.id) : one.said.some(Boolean))));
    }
    if (card.marks?.length) found.unshift({ id: "marks", title: "how it was read", kind: "marks", marks: card.marks });
    if (scan) found.push({ id: "tolerance", title: "bears mutations", kind: "bars", values: scan.tolerance, note: "mean score" });
    return found;
  }, [prediction, card, byName, groups, explained, held, scan, sites, structure, chain, folded]);
  const columns = useMemo((): Column[] => (prediction ? columnsOf(sequence, prediction.numbering, tracks, scan) : []), [prediction, sequence, tracks, scan]);
  useEffect(() => exportAs(prediction ? () => residueCsv(sequence.length, columns) : null), [prediction, columns, sequence, exportAs]);
  useEffect(() => { if (prediction) selection.set({ chain, spans: selection.get().spans }); }, [prediction, chain]);
  const question = { sequences: [{ id: prediction?.id ?? "", sequence }] };
  const fold = () => { setParameter("fold", "1"); void folding.start(question); };
  const find = () => { setParameter("sites", "1"); void siting.start(structure ? { sequences: structure } : question); };
  useEffect(() => {
    if (!prediction) return;
    if (isAlone && sequence.length <= SCANNED) void scanning.start(question);
    if (parameter("fold") && !structure) fold(); // a link to a folded protein folds it again, to the same coordinates
    if (parameter("sites")) find();
    // once a protein
    // eslint-disable-next-line
  }, [prediction]);
  const numbers = useMemo(() => (folded ? undefined : prediction?.numbering) ?? Array.from(sequence, (_, at) => String(at + 1)), [folded, prediction, sequence]);
  const canFold = !structure && !folded && prediction !== null && menu.looks.includes("fold");
  const shown = structure ?? folded?.cif ?? null;
  const show3d = shown !== null && prediction !== null && (folded !== null || prediction.numbering !== undefined);
  return (
    <>
      <Messages messages={card.messages} />
      <Lead card={card} groups={groups} />
      {prediction && (
        <div className={show3d ? "bench with-structure" : "bench"}>
          <section className="panel" aria-label="Along the chain">
            <header><h2>Along the chain</h2><span className="note">{sequence.length} residues; point, click, shift-click, or use the keys</span></header>
            <TrackView sequence={sequence} numbering={prediction.numbering} tracks={tracks} view={view}>
              {(frame) => scan && <HeatMap scan={scan} sequence={sequence} frame={frame} view={view} cell={cell} choose={choose} />}
            </TrackView>
            {!scan && (
              <p className="scan-ask">
                {scanning.isAsking ? <span className="note">Scoring all {(19 * sequence.length).toLocaleString("en")} substitutions …</span>
                  : <button type="button" onClick={() => void scanning.start(question)}>Score every mutation</button>}
              </p>
            )}
            <Trouble problem={scanning.trouble} />
            <p><button type="button" className="quiet" aria-expanded={showsTable} onClick={() => setTable(!showsTable)}>{showsTable ? "Hide the table" : "The same as a table"}</button></p>
            {showsTable && <ResidueTable sequence={sequence} columns={columns} />}
          </section>
          {show3d && (
            <StructurePanel text={shown} chain={folded ? "A" : chain} numbering={numbers} tracks={tracks} name={prediction.id}>
              {folded && <><p>{folded.sentence} <span className="note">A predicted structure; expected TM-score {folded.predicted_tm.toFixed(2)}.</span></p><Messages messages={folded.messages} /></>}
            </StructurePanel>
          )}
          {canFold && <FoldPanel length={sequence.length} seconds={menu.fold_seconds} folding={folding} fold={fold} />}
        </div>
      )}
      {groups.map(([group, names]) => (
        <section key={group} className="group-of-cards" aria-label={group}>
          <h2>{group}</h2>
          <div className="cards">
            {names.map((name) => {
              const one = card.answers.find((answer) => answer.task === name)!;
              return <CardView key={name} card={one} answer={prediction?.answers[name]} task={byName.get(name)} menu={menu} prediction={prediction} explained={explained} setExplained={setExplained} />;
            })}
          </div>
        </section>
      ))}
      {scan && <section className="panel" aria-label="Mutations"><header><h2>Mutations</h2></header><Mutations scan={scan} sequence={sequence} cell={cell} choose={choose} job={job} /></section>}
      {prediction && menu.looks.includes("sites") && <SitesPanel siting={siting} found={sites} find={find} wait={structure ? undefined : menu.fold_seconds[sequence.length]} />}
      {prediction && (
        <section className="panel" aria-label="Drug">
          <header><h2>Does a drug hold it?</h2></header>
          <DrugBox proteins={[{ id: prediction.id, sequence }]} show={(residues) => { hold(residues); setParameter("tab", null); document.querySelector(".tracks-field")?.scrollIntoView({ behavior: "smooth", block: "center" }); }} />
        </section>
      )}
      {prediction && menu.looks.includes("interact") && (
        <section className="panel" aria-label="Partner">
          <header><h2>Does it meet another protein?</h2></header>
          <PartnerBox protein={{ id: prediction.id, sequence }} />
        </section>
      )}
    </>
  );
});
