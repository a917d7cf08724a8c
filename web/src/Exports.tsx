// What can be taken home: files, and the question itself as a command, as Python and as a request that remakes it.
import { useState } from "react";
import type { Job, Prediction, Question } from "./api";

export function save(name: string, kind: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const STYLES = ["fill", "stroke", "stroke-width", "opacity", "fill-opacity", "font", "font-size", "font-weight", "font-family", "text-anchor", "letter-spacing"];

/** The picture of the tracks as a file that stands by itself: every style is written into it. */
export function pictureOf(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const from = [svg, ...svg.querySelectorAll("*")], to = [copy, ...copy.querySelectorAll("*")];
  from.forEach((one, at) => {
    const style = getComputedStyle(one);
    to[at].setAttribute("style", STYLES.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
    to[at].removeAttribute("class");
  });
  copy.querySelectorAll("rect").forEach((one) => one.remove());
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(copy)}\n`;
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function commands(question: Question, job: Job): [string, string][] {
  const conditions = Object.entries(question.conditions ?? {});
  const flags = [...(question.tasks ?? []).map((one) => `--task ${one}`), ...conditions.map(([name, value]) => `--condition ${name}=${value}`)].join(" ");
  const isText = typeof question.sequences === "string";
  const isFile = isText && /^\s*(?:data_|HEADER|ATOM|TITLE|REMARK|MODEL|CRYST1|COMPND|HETATM)/.test(question.sequences as string);
  const file = isFile ? (/^\s*data_/.test(question.sequences as string) ? "structure.cif" : "structure.pdb") : "proteins.fasta";
  const tasks = question.tasks?.length ? `, tasks=${JSON.stringify(question.tasks)}` : "";
  const here = location.origin;
  return [
    ["Command line", `# save the sequences as ${file}\nanfinsen predict ${file} ${flags ? `${flags} ` : ""}--out answers`],
    ["Python", `import anfinsen\n\nfor protein in anfinsen.predict("${file}"${tasks}):\n    print(protein.id, protein.answers)`],
    ["curl", `curl -s ${here}${job.links.request} -o request.json\ncurl -s ${here}/v1/jobs -H 'Content-Type: application/json' -d @request.json`],
    ["The request", quoted(JSON.stringify(question).slice(0, 1500)).slice(1, -1)],
  ];
}

export function Exports({ job, question, prediction, csv }: { job: Job; question: Question | null; prediction: Prediction | null; csv: () => string | null }) {
  const [isOpen, setOpen] = useState(false);
  const isDone = job.state === "done";
  const name = (prediction?.id ?? "proteins").replace(/[^\w.-]+/g, "_").slice(0, 60);
  return (
    <div className="exports">
      <nav aria-label="Take it home">
        {isDone ? <a href={job.links.report} target="_blank" rel="noreferrer">report.html</a> : <span className="note">report when done</span>}
        <a href={job.links.answers} download="predictions.jsonl">json</a>
        <button type="button" disabled={!isDone} onClick={() => { const text = csv(); if (text) save(`${name}.csv`, "text/csv", text); }}>csv</button>
        {prediction && <button type="button" onClick={() => { const svg = document.querySelector<SVGSVGElement>("svg.picture"); if (svg) save(`${name}.svg`, "image/svg+xml", pictureOf(svg)); }}>svg</button>}
        <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>do it again</button>
        <button type="button" onClick={() => void navigator.clipboard?.writeText(location.href)}>copy link</button>
      </nav>
      {isOpen && question && (
        <div className="again">
          {commands(question, job).map(([title, text]) => (
            <section key={title}><h4>{title}</h4><pre tabIndex={0}>{text}</pre></section>
          ))}
          <p className="note">Model {job.model.name}, fingerprint {job.model.sha256.slice(0, 16)}, Anfinsen {job.model.version}. The same fingerprint gives the same answers.</p>
        </div>
      )}
    </div>
  );
}
