// Where a question is written: paste, drop or choose; the server judges at once, and every refusal offers its mend.
import { useEffect, useId, useRef, useState, type DragEvent } from "react";
import { ask, plural, Refused, type Checked, type Problem } from "./api";
import { Messages } from "./words";

export const EXAMPLES: Record<string, string> = {
  insulin: ">insulin human, as it is made\nMALWMRLLPLLALLALWGPDPAAAFVNQHLCGSHLVEALYLVCGERGFFYTPKTRREAEDLQVGQVELGGGPGAGSLQPLALEGSLQKRGIVEQCCTSICSLYQLENYCN\n",
  lysozyme: ">lysozyme hen egg white\nKVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSALLSSDITASVNCAKKIVSDGNGMNAWVAWRNRCKGTDVQAWIRGCRL\n",
  GFP: ">gfp jellyfish Aequorea victoria\nMSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTFSYGVQCFSRYPDHMKQHDFFKSAMPEGYVQERTIFFKDDGNYKTRAEVKFEGDTLVNRIELKGIDFKEDGNILGHKLEYNYNSHNVYIMADKQKNGIKVNFKIRHNIEDGSVQLADHYQQNTPIGDGPVLLPDNHYLSTQSALSKDPNEKRDHMVLLEFVTAAGITHGMDELYK\n",
  "EGFR kinase": ">egfr-kinase human, residues 696-1022\nGEAPNQALLRILKETEFKKIKVLGSGAFGTVYKGLWIPEGEKVKIPVAIKELREATSPKANKEILDEAYVMASVDNPHVCRLLGICLTSTVQLITQLMPFGCLLDYVREHKDNIGSQYLLNWCVQIAKGMNYLEDRRLVHRDLAARNVLVKTPQHVKITDFGLAKLLGAEEKEYHAEGGKVPIKWMALESILHRIYTHQSDVWSYGVTVWELMTFGSKPYDGIPASEISSILEKGERLPQPPICTIDVYMIMVKCWMIDADSRPKFRELIIEFSKMARDPQRYLVIQGDERMHLPSPTDSNFYRALMDEEDMDDVVDADEYLIPQQG\n",
};
const PAUSE = 450;
const LARGEST = 9_500_000;
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

/** What the server would accept of a text, a moment after it was typed. */
export function useChecked(text: string): { checked: Checked | null; trouble: Problem | null; isChecking: boolean } {
  const [state, setState] = useState<{ of: string; checked: Checked | null; trouble: Problem | null }>({ of: "", checked: null, trouble: null });
  useEffect(() => {
    if (!text.trim()) return;
    let isGone = false;
    const timer = setTimeout(() => {
      ask<Checked>("/v1/check", { sequences: text }).then(
        (checked) => !isGone && setState({ of: text, checked, trouble: null }),
        (error: Refused) => !isGone && setState({ of: text, checked: null, trouble: error.problem }),
      );
    }, PAUSE);
    return () => { isGone = true; clearTimeout(timer); };
  }, [text]);
  if (!text.trim()) return { checked: null, trouble: null, isChecking: false };
  return { ...state, isChecking: state.of !== text };
}

export function Composer({ text, setText, label, rows = 7, examples = true, children }: {
  text: string; setText: (text: string) => void; label: string; rows?: number; examples?: boolean; children?: React.ReactNode;
}) {
  const id = useId(), file = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const [told, setTold] = useState("");
  const { checked, trouble, isChecking } = useChecked(text);
  const take = async (files: FileList | null) => {
    const [first] = files ?? [];
    if (!first) return;
    if (first.size > LARGEST) return setTold(`${first.name} has ${(first.size / 1e6).toFixed(0)} MB; ${LARGEST / 1e6} MB are taken here. The command line takes more: anfinsen predict FILE.`);
    setTold("");
    setText(await first.text());
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void take(event.dataTransfer.files);
  };
  const isLarge = text.length > 30_000;
  return (
    <div className={isOver ? "composer over" : "composer"} onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={drop}>
      <label htmlFor={id}>{label}</label>
      {isLarge ? (
        <div className="large" id={id}>
          <pre>{text.slice(0, 1200)}…</pre>
          <button type="button" onClick={() => setText("")}>take something else</button>
        </div>
      ) : (
        <textarea id={id} rows={rows} spellCheck={false} autoComplete="off" value={text} onChange={(event) => setText(event.target.value)} placeholder={">my protein\nMKTAYIAKQRQISFVKSHFSRQ…"} />
      )}
      <div className="composer-foot">
        <button type="button" className="quiet" onClick={() => file.current!.click()}>Choose a file</button>
        <input ref={file} type="file" className="unseen" tabIndex={-1} aria-label="Choose a file" accept=".fasta,.fa,.faa,.txt,.pdb,.ent,.cif,.mmcif" onChange={(event) => void take(event.target.files)} />
        <span className="note">or drop FASTA, PDB or mmCIF here</span>
        {examples && <span className="examples"><span className="note">Try</span>{Object.entries(EXAMPLES).map(([name, fasta]) => <button type="button" key={name} onClick={() => setText(fasta)}>{name}</button>)}</span>}
      </div>
      {told && <p className="trouble" role="alert">{told}</p>}
      <div className="checked" aria-live="polite">
        {isChecking && <p className="note">Reading …</p>}
        {!isChecking && checked && (
          <>
            <p>
              <b>{plural(checked.accepted.length, isStructure(text) ? "chain" : "protein")}</b>, {plural(checked.residues, "residue")}
              {checked.accepted.length > 0 && ": ready to be asked"}
              {checked.refused.length > 0 && <>, <b className="bad">{checked.refused.length} refused</b></>}
              {checked.merged.length > 0 && <>, {plural(checked.merged.length, "twin")} answered once</>}
            </p>
            {checked.accepted.filter((one) => one.messages.length).slice(0, 8).map((one) => (
              <div key={one.id}><p className="note">{one.id}</p><Messages messages={one.messages} /></div>
            ))}
            {checked.refused.length > 0 && <ul className="problems">{checked.refused.slice(0, 20).map((one, at) => <ProblemLine key={at} problem={one} text={text} mend={setText} />)}</ul>}
          </>
        )}
        {!isChecking && trouble && <ul className="problems"><ProblemLine problem={trouble} text={text} mend={setText} /></ul>}
      </div>
      {children}
    </div>
  );
}
