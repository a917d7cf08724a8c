// The 3-D picture beside the tracks; Mol* itself comes in a chunk of its own, and only when there is something to show.
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import type { Residue, Viewer } from "./structure3d";
import { hovered, selection, selectResidue, useDark, useStore } from "./store";
import { asNumber, CONFIDENCE, confidenceWord, diverging, type Track } from "./tracks";

const SITES = [0xc2410c, 0x0f766e, 0x7c3aed, 0xb91c6b, 0x3f6212, 0x1d4ed8];
const STATES: Record<string, number> = { H: 0xb4236a, E: 0x2563a8, C: 0xc9ccd1 };
const PALE = 0xd5d8dd;

const keyOf = (one: Residue) => `${one.chain}|${one.number}|${one.insertion}`;

/** "60A" of chain A as Mol* knows it. */
const residueOf = (chain: string, text: string): Residue => {
  const match = /^(-?\d+)(\D*)$/.exec(text);
  return { chain, number: Number(match?.[1] ?? 0), insertion: match?.[2] ?? "" };
};

/** A track as one colour a residue, and what the colours mean. */
function paintOf(track: Track, length: number): { colours: number[]; key: [string, number][] } {
  switch (track.kind) {
    case "sure":
      return { colours: track.values.map((one) => (one === null ? PALE : CONFIDENCE[confidenceWord(one)])), key: Object.entries(CONFIDENCE) };
    case "columns":
      return { colours: track.said.map((yes) => (yes ? SITES[track.hue] : PALE)), key: [["yes", SITES[track.hue]], ["no", PALE]] };
    case "segments": {
      const letters = [...new Set(track.letters)].sort();
      const tone = (letter: string) => (track.isStructure ? STATES[letter] : /^[-.]$/.test(letter) ? PALE : SITES[letters.indexOf(letter) % 6]);
      return { colours: [...track.letters].map(tone), key: letters.map((one) => [track.names[one] ?? one, tone(one)]) };
    }
    case "marks": {
      const colours = track.marks.reduce((all, one) => all.fill(SITES[0], one.from - 1, one.to), Array<number>(length).fill(PALE));
      return { colours, key: [["not read as it stands", SITES[0]]] };
    }
    case "grades":
      return { colours: [...track.letters].map((one) => asNumber(diverging((Number(one) - 5) / 4))), key: [["kept", asNumber(diverging(1))], ["free to change", asNumber(diverging(-1))]] };
    default: {
      const most = Math.max(...track.values.map((one) => Math.abs(one ?? 0)), 1e-9);
      return { colours: track.values.map((one) => (one === null ? PALE : asNumber(diverging(one / most)))), key: [["below zero", asNumber(diverging(-1))], ["above zero", asNumber(diverging(1))]] };
    }
  }
}

export function StructurePanel({ text, chain, numbering, tracks, name, children }: {
  text: string; chain: string; numbering: string[]; tracks: Track[]; name: string; children?: ReactNode;
}) {
  const place = useRef<HTMLDivElement>(null);
  const [viewer, setViewer] = useState<Viewer | null>(null);
  const [trouble, setTrouble] = useState("");
  const [by, setBy] = useState(() => (tracks.find((one) => one.kind === "sure") ?? tracks.find((one) => one.kind === "segments" && one.isStructure) ?? tracks[0])?.id ?? "");
  const chosen = useStore(selection), over = useStore(hovered);
  const residues = useMemo(() => numbering.map((one) => residueOf(chain, one)), [numbering, chain]);
  const at = useMemo(() => new Map(residues.map((one, index) => [keyOf(one), index + 1])), [residues]);
  const clicked = useRef(false), isDark = useDark();
  useEffect(() => {
    let opened: Viewer | null = null, isGone = false;
    import("./structure3d").then(async (module) => {
      if (isGone) return;
      opened = await module.Viewer.open(place.current!, text, isDark);
      if (isGone) opened.close();
      else setViewer(opened);
    }).catch((error: Error) => setTrouble(error.message));
    return () => { isGone = true; opened?.close(); };
    // the paper is changed below, without reading the structure again
    // eslint-disable-next-line
  }, [text]);
  useEffect(() => viewer?.paper(isDark), [viewer, isDark]);
  useEffect(() => {
    viewer?.onClick((one, extend) => {
      const position = at.get(keyOf(one));
      clicked.current = true;
      if (position) selectResidue(position, extend);
    });
  }, [viewer, at]);
  const track = tracks.find((one) => one.id === by) ?? tracks[0];
  const paint = useMemo(() => (track ? paintOf(track, residues.length) : null), [track, residues]);
  useEffect(() => {
    if (viewer && paint) void viewer.paint(residues.map((one, index): [Residue, number] => [one, paint.colours[index]]));
  }, [viewer, paint, residues]);
  useEffect(() => {
    const frame = requestAnimationFrame(() => {
      if (!viewer) return;
      viewer.select(chosen.spans.flatMap(([a, b]) => residues.slice(a - 1, b)), !clicked.current && chosen.spans.length > 0);
      const marked = viewer.selected();
      place.current!.dataset.selected = String(marked.length);
      place.current!.dataset.from = String(marked.length ? at.get(keyOf(marked[0])) : "");
      clicked.current = false;
    });
    return () => cancelAnimationFrame(frame);
  }, [viewer, chosen, residues, at]);
  useEffect(() => {
    const frame = requestAnimationFrame(() => viewer?.highlight(over === null ? null : residues[over - 1] ?? null));
    return () => cancelAnimationFrame(frame);
  }, [viewer, over, residues]);
  const save = async () => {
    const link = document.createElement("a");
    link.href = await viewer!.picture();
    link.download = `${name}.png`;
    link.click();
  };
  return (
    <section className="panel structure" aria-label="Structure in 3-D">
      <header>
        <h2>In space</h2>
        <label>colour by <select value={track?.id} onChange={(event) => setBy(event.target.value)}>
          {tracks.map((one) => <option key={one.id} value={one.id}>{one.title}</option>)}
        </select></label>
      </header>
      <div className="stage" ref={place} data-ready={viewer !== null} />
      {trouble && <p className="trouble" role="alert">{trouble}</p>}
      {!viewer && !trouble && <p className="note">Opening the viewer …</p>}
      <footer>
        <ul className="legend">{paint?.key.map(([word, colour]) => <li key={word}><i style={{ background: `#${colour.toString(16).padStart(6, "0")}` }} />{word}</li>)}</ul>
        <button type="button" disabled={!viewer} onClick={() => viewer?.whole()}>whole</button>
        <button type="button" disabled={!viewer} onClick={() => void save()}>PNG</button>
      </footer>
      {children}
    </section>
  );
}
