// The table twin: what tracks, heat map and 3-D show, one residue a row, for keys, screen readers and spreadsheets.
import { memo, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Scan } from "./api";
import { firstOf, holds, selection, selectResidue, useStore } from "./store";
import { wordAt, type Track } from "./tracks";
import { NAMES, residueKeys } from "./TrackView";

const ROW = 29, SHOWN = 420;

export type Column = { title: string; cell: (at: number) => string };

export function columnsOf(sequence: string, numbering: string[] | undefined, tracks: Track[], scan: Scan | null): Column[] {
  const found: Column[] = [{ title: "residue", cell: (at) => NAMES[sequence[at]] ?? sequence[at] }];
  if (numbering) found.push({ title: "author's number", cell: (at) => numbering[at] });
  found.push(...tracks.map((track) => ({ title: track.title, cell: (at: number) => wordAt(track, at) })));
  if (scan) {
    const best = (at: number, sign: number) => {
      const row = scan.scores[at].map((score, one): [number, string] => [score ?? NaN, scan.residues[one]]).filter(([score, one]) => !Number.isNaN(score) && one !== sequence[at]);
      row.sort((a, b) => sign * (b[0] - a[0]));
      return row.length ? `${sequence[at]}${at + 1}${row[0][1]} ${row[0][0].toFixed(2)}` : "";
    };
    found.push({ title: "best mutation", cell: (at) => best(at, 1) }, { title: "worst mutation", cell: (at) => best(at, -1) });
  }
  return found;
}

/** A text as one cell of a CSV file; what a spreadsheet would run as a formula is made text. */
export const csvCell = (text: string) => {
  const safe = /^[=+\-@\t\r]/.test(text) && !/^[+-]?[\d.]+$/.test(text) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
export const csvOf = (rows: string[][]) => rows.map((row) => row.map(csvCell).join(",")).join("\n") + "\n";
export const residueCsv = (length: number, columns: Column[]) =>
  csvOf([["position", ...columns.map((one) => one.title)], ...Array.from({ length }, (_, at) => [String(at + 1), ...columns.map((one) => one.cell(at))])]);

const Row = memo(function Row({ position, cells, isChosen }: { position: number; cells: string[]; isChosen: boolean }) {
  return (
    <tr aria-rowindex={position + 1} aria-selected={isChosen} data-position={position} onClick={(event) => selectResidue(position, event.shiftKey)}>
      <th scope="row">{position}</th>
      {cells.map((cell, at) => <td key={at}>{cell}</td>)}
    </tr>
  );
});

/** Where the table stands: where it was scrolled to, or at the residue that was selected elsewhere, without waiting for an event. */
function useTop(focus: number | null): [React.RefObject<HTMLDivElement | null>, number, () => void] {
  const place = useRef<HTMLDivElement>(null), ours = useRef(0);
  const [top, setTop] = useState(0), [seen, setSeen] = useState<number | null>(null);
  if (focus !== seen) {
    setSeen(focus);
    const y = ((focus ?? 1) - 1) * ROW;
    if (focus !== null && (y < top || y > top + SHOWN - 3 * ROW)) setTop(Math.max(0, y - SHOWN / 2));
  }
  useLayoutEffect(() => {
    place.current!.scrollTop = top;
    ours.current = place.current!.scrollTop;
  }, [top]);
  const scrolled = () => { // what we scrolled ourselves is known already; told again it could come too late, and undo what came since
    const now = place.current!.scrollTop;
    if (now !== ours.current) setTop(now);
  };
  return [place, top, scrolled];
}

export function ResidueTable({ sequence, columns }: { sequence: string; columns: Column[] }) {
  const chosen = useStore(selection);
  const [place, top, scrolled] = useTop(firstOf(chosen));
  const first = Math.max(0, Math.floor(top / ROW) - 4), last = Math.min(sequence.length, first + Math.ceil(SHOWN / ROW) + 8);
  const rows = useMemo(() => Array.from({ length: last - first }, (_, at) => columns.map((one) => one.cell(first + at))), [columns, first, last]);
  return (
    <div
      className="residues" ref={place} tabIndex={0} role="group" aria-label="Table of residues. Arrow keys move, with shift they extend."
      style={{ maxHeight: SHOWN }}
      onScroll={scrolled}
      onKeyDown={(event) => {
        const map: Record<string, string> = { ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft" };
        if (event.key in map) {
          const step = event.key === "ArrowDown" ? 1 : -1;
          selectResidue(Math.max(1, Math.min(sequence.length, (chosen.spans.at(-1)?.[1] ?? 0) + step)), event.shiftKey);
          event.preventDefault();
        } else residueKeys(event, sequence.length);
      }}
    >
      <table aria-rowcount={sequence.length + 1}>
        <thead><tr aria-rowindex={1}><th scope="col">#</th>{columns.map((one) => <th key={one.title} scope="col">{one.title}</th>)}</tr></thead>
        <tbody>
          {first > 0 && <tr aria-hidden="true" style={{ height: first * ROW }}><td colSpan={columns.length + 1} /></tr>}
          {rows.map((cells, at) => <Row key={first + at} position={first + at + 1} cells={cells} isChosen={holds(chosen, first + at + 1)} />)}
          {last < sequence.length && <tr aria-hidden="true" style={{ height: (sequence.length - last) * ROW }}><td colSpan={columns.length + 1} /></tr>}
        </tbody>
      </table>
    </div>
  );
}
