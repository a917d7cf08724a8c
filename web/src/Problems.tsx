// A refusal as it is shown: where, why, what to do; and the mends that one click makes in the text.
import type { Problem } from "./api";

/** Whether a text is a PDB or mmCIF file; the server reads it, the page only words its hints by it. */
export const isStructure = (text: string) => /^\s*(?:#[^\n]*\s+)*(?:data_|(?:HEADER|TITLE|COMPND|REMARK|CRYST1|MODEL|ATOM|HETATM) )/.test(text);

type Mend = { words: string; make: (text: string) => string };

/** The text with the residues of one record changed; headers stay. */
function onRecord(text: string, row: number, change: (residues: string) => string): string {
  const parts = text.includes(">") ? text.split(/^(?=>)/m) : [text];
  const at = parts.findIndex((_, index) => parts.slice(0, index + 1).filter((one) => one.trim()).length === row);
  if (at < 0) return text;
  const [, header, body] = /^(>[^\n]*\n?)?([\s\S]*)$/.exec(parts[at])!;
  return [...parts.slice(0, at), `${header ?? ""}${change(body.replace(/\s+/g, ""))}\n`, ...parts.slice(at + 1)].join("");
}

/** What can be done about a refusal by one click; the sentence says the same in words. */
function mendsOf(problem: Problem): Mend[] {
  const { row = 1, position, reason } = problem, found: Mend[] = [];
  const change = (words: string, how: (residues: string) => string) => found.push({ words, make: (text) => onRecord(text, row, how) });
  if (position && /stop codon/i.test(reason)) change(`cut before ${position}`, (one) => one.slice(0, position - 1));
  else if (/gap/i.test(reason)) change("remove the gaps", (one) => one.replace(/[-.]/g, ""));
  else if (position) {
    change("write X there", (one) => `${one.slice(0, position - 1)}X${one.slice(position)}`);
    change("remove it", (one) => one.slice(0, position - 1) + one.slice(position));
  }
  found.push({
    words: "leave this record out",
    make: (text) => {
      const parts = text.split(/^(?=>)/m);
      let count = 0;
      return parts.filter((one) => !one.trim() || ++count !== row).join("");
    },
  });
  return found;
}

export function ProblemLine({ problem, mend, text }: { problem: Problem; mend?: (text: string) => void; text?: string }) {
  return (
    <li className="refused">
      <p>
        <b>{problem.where}</b> {problem.reason} <span className="note">{problem.remedy}</span>
      </p>
      {mend && text !== undefined && !isStructure(text) && (
        <p className="mends">{mendsOf(problem).map((one) => <button type="button" key={one.words} onClick={() => mend(one.make(text))}>{one.words}</button>)}</p>
      )}
    </li>
  );
}
