// Where a question is written: paste, drop or choose; the server judges at once, and every refusal offers its mend.
import { useEffect, useId, useRef, useState, type DragEvent } from "react";
import { about, ask, plural, Refused, type Checked, type Problem } from "./api";
import { Entries } from "./Entries";
import { isStructure, ProblemLine } from "./Problems";
import { Messages } from "./words";

export const EXAMPLES: Record<string, string> = {
  insulin: ">insulin human, as it is made\nMALWMRLLPLLALLALWGPDPAAAFVNQHLCGSHLVEALYLVCGERGFFYTPKTRREAEDLQVGQVELGGGPGAGSLQPLALEGSLQKRGIVEQCCTSICSLYQLENYCN\n",
  lysozyme: ">lysozyme hen egg white\nKVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSALLSSDITASVNCAKKIVSDGNGMNAWVAWRNRCKGTDVQAWIRGCRL\n",
  GFP: ">gfp jellyfish Aequorea victoria\nMSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTFSYGVQCFSRYPDHMKQHDFFKSAMPEGYVQERTIFFKDDGNYKTRAEVKFEGDTLVNRIELKGIDFKEDGNILGHKLEYNYNSHNVYIMADKQKNGIKVNFKIRHNIEDGSVQLADHYQQNTPIGDGPVLLPDNHYLSTQSALSKDPNEKRDHMVLLEFVTAAGITHGMDELYK\n",
  "EGFR kinase": ">egfr-kinase human, residues 696-1022\nGEAPNQALLRILKETEFKKIKVLGSGAFGTVYKGLWIPEGEKVKIPVAIKELREATSPKANKEILDEAYVMASVDNPHVCRLLGICLTSTVQLITQLMPFGCLLDYVREHKDNIGSQYLLNWCVQIAKGMNYLEDRRLVHRDLAARNVLVKTPQHVKITDFGLAKLLGAEEKEYHAEGGKVPIKWMALESILHRIYTHQSDVWSYGVTVWELMTFGSKPYDGIPASEISSILEKGERLPQPPICTIDVYMIMVKCWMIDADSRPKFRELIIEFSKMARDPQRYLVIQGDERMHLPSPTDSNFYRALMDEEDMDDVVDADEYLIPQQG\n",
};
const PAUSE = 450, SHOWN = 8;
const LARGEST = 9_500_000;

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

/** What is accepted, mended and refused of a text, before anything is asked. */
function Judged({ checked, text, setText }: { checked: Checked; text: string; setText: (text: string) => void }) {
  const { accepted, refused, merged, residues, seconds } = checked;
  return (
    <>
      <p>
        <b>{plural(accepted.length, isStructure(text) ? "chain" : "protein")}</b>, {plural(residues, "residue")}
        {accepted.length > 0 && ": ready to be asked"}{seconds >= 2 && `, ${about(seconds)} here`}
        {refused.length > 0 && <>, <b className="bad">{refused.length} refused</b></>}
        {merged.length > 0 && <>, {plural(merged.length, "twin")} answered once</>}
      </p>
      {accepted.filter((one) => one.messages.length).slice(0, SHOWN).map((one) => (
        <div key={one.id}><p className="note">{one.id}</p><Messages messages={one.messages} /></div>
      ))}
      {refused.length > 0 && <ul className="problems">{refused.slice(0, SHOWN).map((one, at) => <ProblemLine key={at} problem={one} text={text} mend={setText} />)}</ul>}
      {refused.length > SHOWN && <p className="note">The first {SHOWN} of {refused.length} are shown; all will stand with the answers.</p>}
    </>
  );
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
        <textarea id={id} rows={rows} spellCheck={false} autoComplete="off" value={text} onChange={(event) => setText(event.target.value)} placeholder={">my protein\nMKTAYIAKQRQISFVKSHFSRQ…\n\nor an id: P00533, 1IEP, AF-P00533-F1"} />
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
        {!isChecking && checked && (checked.entries.length ? <Entries entries={checked.entries} take={setText} /> : <Judged checked={checked} text={text} setText={setText} />)}
        {!isChecking && trouble && <ul className="problems"><ProblemLine problem={trouble} text={text} mend={setText} /></ul>}
      </div>
      {children}
    </div>
  );
}
