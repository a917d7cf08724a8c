// The whole mutational scan, 20 rows by residues, on the ruler of the tracks: orange harms, blue does not.
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import type { Scan } from "./api";
import { firstOf, hovered, selection, selectResidue, useDark, useStore } from "./store";
import { diverging, quantile } from "./tracks";
import { edge, residueKeys, type Frame, type Window } from "./TrackView";

const ROW = 11;
export type Cell = { position: number; mutant: string };

export function scaleOf(scan: Scan): number {
  const all = scan.scores.flat().filter((one): one is number => one !== null).map(Math.abs);
  return quantile(all, 0.97) || 1;
}
export const mutationOf = (scan: Scan, sequence: string, { position, mutant }: Cell) => ({
  name: `${sequence[position - 1]}${position}${mutant}`,
  score: scan.scores[position - 1]?.[scan.residues.indexOf(mutant)] ?? null,
  ddg: scan.ddg[position - 1]?.[scan.residues.indexOf(mutant)] ?? null,
});

export function HeatMap({ scan, sequence, frame, view, cell, choose }: {
  scan: Scan; sequence: string; frame: Frame; view: Window; cell: Cell | null; choose: (cell: Cell) => void;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scale = useMemo(() => scaleOf(scan), [scan]);
  const isDark = useDark();
  const height = ROW * scan.residues.length;
  const [over, setOver] = useState<Cell | null>(null);
  const chosen = useStore(selection);
  const drawn = frame.width - frame.gutter;
  useEffect(() => {
    const place = canvas.current!, dense = Math.min(2, devicePixelRatio || 1);
    place.width = drawn * dense;
    place.height = height * dense;
    const pen = place.getContext("2d")!;
    pen.scale(dense, dense);
    const wide = frame.step + (frame.step > 5 ? -0.8 : 0.4);
    for (let at = frame.start; at < frame.end; at++) {
      const left = (at - frame.start) * frame.step;
      scan.scores[at].forEach((score, row) => {
        const isWild = sequence[at] === scan.residues[row];
        const [r, g, b] = score === null ? [128, 128, 128] : diverging(score / scale, isDark);
        pen.fillStyle = `rgb(${r},${g},${b})`;
        pen.fillRect(left, row * ROW, wide, ROW - (frame.step > 5 ? 0.8 : 0));
        if (isWild && frame.step >= 3) {
          pen.fillStyle = isDark ? "#dfe2ea" : "#3a3f47";
          pen.beginPath();
          pen.arc(left + wide / 2, row * ROW + ROW / 2, Math.min(2, wide / 3), 0, 7);
          pen.fill();
        }
      });
    }
  }, [scan, sequence, frame, drawn, height, scale, isDark]);
  const cellAt = (x: number, y: number): Cell | null => {
    const at = Math.floor(x / frame.step) + frame.start, row = Math.floor(y / ROW);
    return at >= 0 && at < sequence.length && row >= 0 && row < scan.residues.length ? { position: at + 1, mutant: scan.residues[row] } : null;
  };
  const take = (found: Cell, extend = false) => {
    selectResidue(found.position, extend);
    choose(found);
  };
  const press = (event: KeyboardEvent) => {
    const now = cell ?? { position: firstOf(chosen) ?? 1, mutant: scan.residues[0] };
    const row = scan.residues.indexOf(now.mutant);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = (row + (event.key === "ArrowDown" ? 1 : -1) + scan.residues.length) % scan.residues.length;
      take({ position: firstOf(chosen) ?? now.position, mutant: scan.residues[next] });
      event.preventDefault();
    } else if (residueKeys(event, sequence.length, view)) {
      choose({ position: firstOf(selection.get()) ?? 1, mutant: now.mutant });
    }
    event.stopPropagation();
  };
  const told = over ?? cell;
  const seen = told && mutationOf(scan, sequence, told);
  return (
    <figure className="heat" onKeyDown={press}>
      <div className="heat-field" style={{ paddingLeft: frame.gutter }}>
        {frame.gutter > 0 && (
          <div className="heat-rows" aria-hidden="true" style={{ width: frame.gutter - 8, height }}>
            <span className="heat-title">Mutations</span>
            {[...scan.residues].map((one) => <i key={one} style={{ height: ROW }}>{one}</i>)}
          </div>
        )}
        <div className="heat-canvas">
          <canvas
            ref={canvas} style={{ width: drawn, height }} tabIndex={0} role="application"
            aria-label="Heat map of all substitutions. Left and right move along the chain, up and down through the twenty residues."
            onPointerMove={(event) => {
              const box = event.currentTarget.getBoundingClientRect();
              const found = cellAt(event.clientX - box.left, event.clientY - box.top);
              setOver(found);
              hovered.set(found?.position ?? null);
            }}
            onPointerLeave={() => { setOver(null); hovered.set(null); }}
            onClick={(event) => {
              const box = event.currentTarget.getBoundingClientRect();
              const found = cellAt(event.clientX - box.left, event.clientY - box.top);
              if (found) take(found, event.shiftKey);
            }}
          />
          {chosen.spans.map(([a, b]) => {
            const left = Math.max(a - 1, frame.start), right = Math.min(b, frame.end);
            return right > left && <i key={a} className="heat-selected" data-from={a} data-to={b} style={{ left: edge(frame, left) - frame.gutter, width: Math.max(2, (right - left) * frame.step) }} />;
          })}
        </div>
      </div>
      <figcaption>
        <span className="key" aria-hidden="true"><i /> </span>
        <span className="note">likely harmful … neutral … tolerated; a dot is the residue that is there</span>
        {seen && seen.score !== null && (
          <span className="heat-told" aria-live="polite">
            <b>{seen.name}</b> score {seen.score.toFixed(2).replace("-", "−")}
            {seen.ddg !== null && <> · stability {seen.ddg > 0 ? "+" : ""}{seen.ddg.toFixed(2).replace("-", "−")} kcal/mol {seen.ddg < -0.25 ? "(more stable)" : seen.ddg > 0.25 ? "(less stable)" : "(about the same)"}</>}
          </span>
        )}
      </figcaption>
    </figure>
  );
}
