// Sequence and tracks on one ruler, as SVG: a few paths a track, however long the chain is.
import { memo, useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { firstOf, hovered, select, selection, selectResidue, useStore, type Span } from "./store";
import { confidenceWord, nameOf, runs, wordAt, type Track } from "./tracks";

export const NARROW = 620;
const HEIGHTS = { segments: 20, grades: 22, columns: 22, line: 34, bars: 26, sure: 14, marks: 12 };
const GAP = 9, RULER = 18, LETTERS = 16, LABEL = 15;

export type Frame = { width: number; gutter: number; start: number; end: number; step: number };
/** The left edge of a residue (0-based) in the picture. */
export const edge = (frame: Frame, at: number) => frame.gutter + (at - frame.start) * frame.step;

/** The width of an element, as it changes. */
export function useWidth<T extends HTMLElement>(): [React.RefObject<T | null>, number] {
  const place = useRef<T>(null);
  const [width, setWidth] = useState(900);
  useEffect(() => {
    const watch = new ResizeObserver(([one]) => setWidth(Math.max(260, Math.floor(one.contentRect.width))));
    watch.observe(place.current!);
    return () => watch.disconnect();
  }, []);
  return [place, width];
}

const round = (x: number) => Math.round(x * 10) / 10;
const box = (x: number, y: number, w: number, h: number) => `M${round(x)} ${round(y)}h${round(w)}v${round(h)}h${round(-w)}z`;

function Shape({ track, frame, top }: { track: Track; frame: Frame; top: number }) {
  const { start, end, step } = frame, height = HEIGHTS[track.kind], base = top + height;
  const x = (at: number) => edge(frame, at);
  const inside = Array.from({ length: end - start }, (_, at) => start + at);
  const wide = Math.max(0.6, step - (step > 4 ? 1 : 0));
  if (track.kind === "segments") {
    const groups = new Map<string, string[]>();
    const labels: { x: number; text: string }[] = [];
    const letters = [...new Set(track.letters)].sort();
    const middle = top + height / 2;
    for (const [from, to, letter] of runs(track.letters)) {
      const a = Math.max(from, start), b = Math.min(to, end);
      if (a >= b) continue;
      const sure = track.certainty.slice(from, to).reduce((sum, one) => sum + one, 0) / (to - from);
      const left = x(a), right = x(b), width = right - left;
      let path: string;
      let tone: string;
      if (track.isStructure) {
        tone = letter;
        if (letter === "C") path = box(left, middle - 1, width, 2);
        else if (letter === "E") {
          const head = Math.min(width, 9);
          path = `M${round(left)} ${middle - 4}H${round(right - head)}V${middle - 8}L${round(right)} ${middle}L${round(right - head)} ${middle + 8}V${middle + 4}H${round(left)}z`;
        } else {
          const r = Math.min(7, width / 2);
          path = `M${round(left + r)} ${middle - 7}H${round(right - r)}a${round(r)} 7 0 0 1 0 14H${round(left + r)}a${round(r)} 7 0 0 1 0-14z`;
        }
      } else {
        tone = /^[-.]$/.test(letter) ? "none" : `n${letters.indexOf(letter) % 6}`;
        path = box(left, middle - 5, width, 10);
        if (width > 60) labels.push({ x: left + width / 2, text: nameOf(letter, track.names) });
      }
      const key = `${tone} ${sure >= 0.9 ? "s3" : sure >= 0.7 ? "s2" : sure >= 0.5 ? "s1" : "s0"}`;
      groups.set(key, [...(groups.get(key) ?? []), path]);
    }
    return (
      <>
        {[...groups].map(([key, paths]) => <path key={key} className={`seg ${key}`} d={paths.join("")} />)}
        {labels.map((one, at) => <text key={at} className="seg-label" x={one.x} y={middle + 3.5}>{one.text}</text>)}
      </>
    );
  }
  if (track.kind === "grades") {
    const path = inside.map((at) => { const h = (Number(track.letters[at]) / 9) * height; return box(x(at), base - h, wide, h); }).join("");
    return <path className="grade" d={path} />;
  }
  if (track.kind === "columns") {
    const most = Math.max(track.least * 2, 0.5);
    const draw = (yes: boolean) => inside.filter((at) => track.said[at] === yes).map((at) => {
      const h = Math.max(0.5, Math.min(1, track.shares[at] / most) * height);
      return box(x(at), base - h, wide, h);
    }).join("");
    return (
      <>
        <path className={`site h${track.hue} pale`} d={draw(false)} />
        <path className={`site h${track.hue}`} d={draw(true)} />
        <path className="threshold" d={`M${x(start)} ${round(base - (track.least / most) * height)}H${x(end)}`} />
      </>
    );
  }
  if (track.kind === "line") {
    const all = [...track.values, ...track.low, ...track.high].filter((one): one is number => one !== null);
    const least = Math.min(...all), most = Math.max(...all);
    const y = (value: number) => round(base - ((value - least) / (most - least || 1)) * height);
    const points = inside.filter((at) => track.values[at] !== null);
    const line = points.map((at, n) => `${n ? "L" : "M"}${round(x(at) + step / 2)} ${y(track.values[at]!)}`).join("");
    const has = track.low.length > 0;
    const band = has ? points.map((at, n) => `${n ? "L" : "M"}${round(x(at) + step / 2)} ${y(track.low[at] ?? track.values[at]!)}`).join("")
      + [...points].reverse().map((at) => `L${round(x(at) + step / 2)} ${y(track.high[at] ?? track.values[at]!)}`).join("") + "z" : "";
    return (
      <>
        {has && <path className="band" d={band} />}
        {track.zones.filter(([end]) => end !== null && end > least && end < most).map(([end, name]) => (
          <path key={name} className="threshold" d={`M${x(start)} ${y(end!)}H${x(frame.end)}`} />
        ))}
        <path className="curve" d={line} />
      </>
    );
  }
  if (track.kind === "sure") {
    const groups = new Map<string, string[]>();
    for (const at of inside) {
      const value = track.values[at];
      if (value === null) continue;
      const word = confidenceWord(value).replace(" ", "-");
      groups.set(word, [...(groups.get(word) ?? []), box(x(at), top, step + 0.3, height)]);
    }
    return <>{[...groups].map(([word, paths]) => <path key={word} className={`plddt ${word}`} d={paths.join("")} />)}</>;
  }
  if (track.kind === "marks") {
    const parts = track.marks.map((one): [number, number] => [Math.max(one.from - 1, start), Math.min(one.to, end)]).filter(([from, to]) => from < to);
    return (
      <>
        <path className="threshold" d={`M${x(start)} ${round(base - height / 2)}H${x(end)}`} />
        <path className="read-mark" d={parts.map(([from, to]) => box(x(from), top, Math.max(2, (to - from) * step), height)).join("")} />
      </>
    );
  }
  const most = Math.max(...track.values.map((one) => Math.abs(one ?? 0)), 1e-9), middle = top + height / 2;
  const draw = (up: boolean) => inside.filter((at) => (track.values[at] ?? 0) > 0 === up && track.values[at]).map((at) => {
    const h = (Math.abs(track.values[at]!) / most) * (height / 2);
    return box(x(at), up ? middle - h : middle, wide, h);
  }).join("");
  return (
    <>
      <path className="threshold" d={`M${x(start)} ${middle}H${x(end)}`} />
      <path className="bar up" d={draw(true)} />
      <path className="bar down" d={draw(false)} />
    </>
  );
}

const Picture = memo(function Picture({ sequence, numbering, tracks, frame, height }: {
  sequence: string; numbering?: string[]; tracks: Track[]; frame: Frame; height: number;
}) {
  const { start, end, step, gutter, width } = frame;
  const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((one) => one * step >= 44) ?? 10000;
  const ticks = [];
  for (let at = Math.ceil((start + 1) / every) * every; at <= end; at += every) ticks.push(at);
  const showsLetters = step >= 7.5;
  const places = Array.from({ length: showsLetters ? end - start : 0 }, (_, at) => round(edge(frame, start + at) + step / 2));
  let top = RULER + (showsLetters ? LETTERS : 0) + GAP;
  return (
    <>
      {ticks.map((at) => (
        <g key={at}>
          <path className="tick" d={`M${round(edge(frame, at - 0.5))} ${RULER - 3}V${height}`} />
          <text className="tick-label" x={Math.min(round(edge(frame, at - 0.5)), width - 3.4 * (numbering?.[at - 1] ?? String(at)).length)} y={11}>{numbering?.[at - 1] ?? at}</text>
        </g>
      ))}
      {showsLetters && <text className="letters" x={places.join(" ")} y={RULER + 12}>{sequence.slice(start, end)}</text>}
      {tracks.map((track) => {
        const label = gutter ? 0 : LABEL;
        const here = top + label;
        top += label + HEIGHTS[track.kind] + GAP;
        return (
          <g key={track.id}>
            <title>{track.title}</title>
            <text className="name" x={0} y={gutter ? here + HEIGHTS[track.kind] / 2 + 4 : here - 4}>
              {gutter && track.title.length > 27 ? `${track.title.slice(0, 26)}…` : track.title}
            </text>
            <Shape track={track} frame={frame} top={here} />
          </g>
        );
      })}
      <path className="tick" d={`M${gutter} ${height - 0.5}H${width}`} />
    </>
  );
});

function Marks({ frame, height }: { frame: Frame; height: number }) {
  const { spans } = useStore(selection), at = useStore(hovered);
  const clip = (from: number, to: number) => {
    const left = Math.max(from, frame.start), right = Math.min(to, frame.end);
    return right > left ? { x: edge(frame, left), width: Math.max(2, (right - left) * frame.step) } : null;
  };
  return (
    <>
      {spans.map(([from, to]) => {
        const found = clip(from - 1, to);
        return found && <rect key={`${from}-${to}`} className="selected" data-from={from} data-to={to} y={0} height={height} {...found} />;
      })}
      {at !== null && clip(at - 1, at) && <rect className="hovered" y={0} height={height} {...clip(at - 1, at)!} />}
    </>
  );
}

/** What all tracks say of the residue that is pointed at, or of the first that is selected. */
function Readout({ sequence, numbering, tracks }: { sequence: string; numbering?: string[]; tracks: Track[] }) {
  const chosen = useStore(selection), at = useStore(hovered) ?? firstOf(chosen);
  const count = chosen.spans.reduce((sum, [a, b]) => sum + b - a + 1, 0);
  if (at === null || at > sequence.length) return <p className="readout hint">Point at a residue, or move with the arrow keys.</p>;
  return (
    <p className="readout" aria-live="polite" data-residue={at}>
      <b>{NAMES[sequence[at - 1]] ?? sequence[at - 1]} {at}</b>
      {numbering && numbering[at - 1] !== String(at) && <span> (author's {numbering[at - 1]})</span>}
      {tracks.map((track) => <span key={track.id}><i>{track.title}</i> {wordAt(track, at - 1)}</span>)}
      {count > 1 && <span><i>selected</i> {count} residues</span>}
    </p>
  );
}

export const NAMES: Record<string, string> = {
  A: "Ala", R: "Arg", N: "Asn", D: "Asp", C: "Cys", Q: "Gln", E: "Glu", G: "Gly", H: "His", I: "Ile", L: "Leu", K: "Lys",
  M: "Met", F: "Phe", P: "Pro", S: "Ser", T: "Thr", W: "Trp", Y: "Tyr", V: "Val", X: "unknown",
};

/** The part of the chain that is shown, and how to move it. */
export function useWindow(length: number) {
  const [span, setSpan] = useState<Span>([0, length]);
  useEffect(() => setSpan([0, length]), [length]);
  const show = useCallback((start: number, end: number) => {
    const size = Math.max(20, Math.min(length, Math.round(end - start)));
    const first = Math.max(0, Math.min(length - size, Math.round(start)));
    setSpan([first, Math.min(length, first + size)]);
  }, [length]);
  const zoom = useCallback((by: number, around?: number) => {
    setSpan(([a, b]) => {
      const size = Math.max(Math.min(20, length), Math.min(length, Math.round((b - a) * by)));
      const centre = around ?? (firstOf(selection.get()) ?? (a + b) / 2);
      const first = Math.max(0, Math.min(length - size, Math.round(centre - size / 2)));
      return [first, first + size];
    });
  }, [length]);
  return { span, show, zoom };
}
export type Window = ReturnType<typeof useWindow>;

/** Residue keys that tracks, heat map and table share. */
export function residueKeys(event: KeyboardEvent, length: number, view?: Window): boolean {
  const chosen = selection.get(), now = chosen.spans.at(-1)?.[1] ?? 0;
  const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -1e6, End: 1e6 };
  if (event.key in steps && !event.altKey && !event.metaKey) {
    const next = Math.max(1, Math.min(length, now + steps[event.key]));
    selectResidue(next, event.shiftKey);
    if (view && (next <= view.span[0] || next > view.span[1])) view.show(next - (view.span[1] - view.span[0]) / 2, next + (view.span[1] - view.span[0]) / 2);
  } else if (view && (event.key === "+" || event.key === "=")) view.zoom(0.5);
  else if (view && event.key === "-") view.zoom(2);
  else if (view && event.key === "0") view.show(0, length);
  else if (event.key === "Escape") select([]);
  else return false;
  event.preventDefault();
  return true;
}

/** Find "57", "57-64", "A57" or a motif such as "KDEL" or "N.[ST]"; all places of a motif. */
export function find(text: string, sequence: string): Span[] {
  const number = /^[A-Za-z]?(\d+)(?:\s*-\s*(\d+))?$/.exec(text.trim());
  if (number) {
    const a = Number(number[1]), b = Number(number[2] ?? number[1]);
    return a >= 1 && b <= sequence.length && a <= b ? [[a, b]] : [];
  }
  if (!/^[A-Za-z.[\]^]{1,40}$/.test(text)) return [];
  try {
    return [...sequence.matchAll(new RegExp(text.toUpperCase(), "g"))].slice(0, 200).map((one): Span => [one.index + 1, one.index + one[0].length]);
  } catch {
    return [];
  }
}

export function frameOf(width: number, [start, end]: Span): Frame {
  const gutter = width < NARROW ? 0 : 190;
  return { width, gutter, start, end, step: (width - gutter) / Math.max(1, end - start) };
}

export function TrackView({ sequence, numbering, tracks, view, children }: {
  sequence: string; numbering?: string[]; tracks: Track[]; view: Window; children?: (frame: Frame) => React.ReactNode;
}) {
  const [place, width] = useWidth<HTMLDivElement>();
  const frame = useMemo(() => frameOf(width, view.span), [width, view.span]);
  const [sought, setSought] = useState<string | null>(null);
  const dragging = useRef<number | null>(null);
  const height = RULER + (frame.step >= 7.5 ? LETTERS : 0) + GAP
    + tracks.reduce((sum, track) => sum + HEIGHTS[track.kind] + GAP + (frame.gutter ? 0 : LABEL), 0) + 2;
  const at = (event: PointerEvent<SVGSVGElement>) => {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
    const found = Math.floor((x - frame.gutter) / frame.step) + frame.start + 1;
    return x >= frame.gutter && found >= 1 && found <= sequence.length ? found : null;
  };
  const down = (event: PointerEvent<SVGSVGElement>) => {
    const found = at(event);
    if (found === null || event.button) return;
    dragging.current = found;
    selectResidue(found, event.shiftKey);
  };
  const move = (event: PointerEvent<SVGSVGElement>) => {
    const found = at(event);
    hovered.set(found);
    if (dragging.current !== null && found !== null && event.buttons === 1 && found !== dragging.current) {
      select([[Math.min(dragging.current, found), Math.max(dragging.current, found)]]);
    }
  };
  return (
    <div className="tracks">
      <div className="toolbar">
        <form role="search" onSubmit={(event) => {
          event.preventDefault();
          const spans = find(sought ?? "", sequence);
          if (spans.length) { select(spans); const [a, b] = spans[0]; if (a <= view.span[0] || b > view.span[1]) view.show(a - 30, b + 30); }
        }}>
          <input aria-label="Find a residue, a range or a motif" placeholder="Find 57, 57-64, N.[ST]" value={sought ?? ""} onChange={(event) => setSought(event.target.value)} />
          {sought && <span className="note">{find(sought, sequence).length || "no"} found</span>}
        </form>
        <span className="spring" />
        <button type="button" onClick={() => view.zoom(2)} aria-label="Show more of the chain">−</button>
        <button type="button" onClick={() => view.zoom(0.5)} aria-label="Show less, larger">+</button>
        <button type="button" onClick={() => view.show(0, sequence.length)}>whole chain</button>
      </div>
      <div
        className="tracks-field" tabIndex={0} role="application" ref={place}
        aria-label={`Tracks of ${sequence.length} residues. Arrow keys move along the chain, with shift they extend, plus and minus zoom. The table holds the same values.`}
        onKeyDown={(event) => event.target === event.currentTarget && residueKeys(event, sequence.length, view)}
        onPointerLeave={() => hovered.set(null)}
      >
        <svg
          className="picture" width={width} height={height} xmlns="http://www.w3.org/2000/svg" aria-hidden="true"
          onPointerDown={down} onPointerMove={move} onPointerUp={() => { dragging.current = null; }}
        >
          <Picture sequence={sequence} numbering={numbering} tracks={tracks} frame={frame} height={height} />
          <Marks frame={frame} height={height} />
        </svg>
        {children?.(frame)}
      </div>
      <Readout sequence={sequence} numbering={numbering} tracks={tracks} />
    </div>
  );
}
