// What the scan says in short: the substitutions that are borne best and worst, and the one that was chosen.
import { useMemo } from "react";
import type { Scan } from "./api";
import { mutationOf, type Cell } from "./HeatMap";
import { go, select } from "./store";
import { Messages } from "./words";

const MOST = 5;
const signed = (value: number) => `${value > 0 ? "+" : ""}${value.toFixed(2).replace("-", "−")}`;

export function Mutations({ scan, sequence, cell, choose, job }: { scan: Scan; sequence: string; cell: Cell | null; choose: (cell: Cell) => void; job: string }) {
  const all = useMemo(() => scan.scores.flatMap((row, at) => row.map((score, column) => ({
    position: at + 1, mutant: scan.residues[column], score, ddg: scan.ddg[at][column],
  }))).filter((one) => one.score !== null && one.mutant !== sequence[one.position - 1]), [scan, sequence]);
  const [best, worst] = useMemo(() => {
    const order = [...all].sort((a, b) => b.score! - a.score!);
    return [order.slice(0, MOST), order.slice(-MOST).reverse()];
  }, [all]);
  const list = (title: string, rows: typeof all) => (
    <div>
      <h4>{title}</h4>
      <ol>{rows.map((one) => (
        <li key={`${one.position}${one.mutant}`}>
          <button type="button" onClick={() => { select([[one.position, one.position]]); choose({ position: one.position, mutant: one.mutant }); }}>{sequence[one.position - 1]}{one.position}{one.mutant}</button>
          <span>{one.score!.toFixed(2).replace("-", "−")}</span>
          <span className="note">{signed(one.ddg!)} kcal/mol</span>
        </li>
      ))}</ol>
    </div>
  );
  const now = cell && mutationOf(scan, sequence, cell);
  return (
    <div className="mutations">
      <p>{scan.sentence} <span className="note">{scan.basis}</span></p>
      <Messages messages={scan.messages} />
      <div className="columns">{list("Best borne", best)}{list("Likely most harmful", worst)}
        {now && now.score !== null && cell!.mutant !== sequence[cell!.position - 1] && (
          <div className="chosen">
            <h4>Chosen: {now.name}</h4>
            <p>Score {now.score.toFixed(2).replace("-", "−")} (0 is the wild type; lower harms more).</p>
            <p>Stability {signed(now.ddg!)} kcal/mol; below zero is more stable.</p>
            <button type="button" onClick={() => go(`/compare?of=${job}&mutation=${now.name}`)}>compare with the wild type</button>
          </div>
        )}
      </div>
      <p className="note">Predictions, not measurements: a hypothesis for the bench.</p>
    </div>
  );
}
