// A table is brought, looked at roughly, and handed to the server, whose plan comes first and costs nothing.
import { useMemo, useRef, useState } from "react";
import EXAMPLE from "../../examples/secreted_or_nuclear.csv?raw";
import { ask, Refused, type Course, type Problem } from "./api";
import { go } from "./store";
import { Stages } from "./TrainPath";
import { Trouble } from "./words";

const KEPT = "anfinsen-trainings";
type Kept = { id: string; name: string; when: string };
const kept = (): Kept[] => { try { return JSON.parse(localStorage.getItem(KEPT) ?? "[]"); } catch { return []; } };

/** The first rows of a table, roughly, only to be shown; the command line reads it strictly. */
const peek = (text: string) => {
  const lines = text.split(/\r?\n/).filter(Boolean).slice(0, 6);
  const mark = [",", ";", "\t"].sort((a, b) => (lines[0]?.split(b).length ?? 0) - (lines[0]?.split(a).length ?? 0))[0];
  return lines.map((line) => line.split(mark).map((cell) => cell.replace(/^"|"$/g, "")));
};

export function TrainNew() {
  const [table, setTable] = useState("");
  const [name, setName] = useState("");
  const [label, setLabel] = useState("");
  const [column, setColumn] = useState("");
  const [mode, setMode] = useState("");
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [isAsking, setAsking] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const rows = useMemo(() => peek(table), [table]);
  const columns = rows[0] ?? [];
  const take = async (files: FileList | null) => {
    const [first] = files ?? [];
    if (!first) return;
    setName(first.name);
    setTable(await first.text());
  };
  const start = async () => {
    setAsking(true);
    try {
      const course = await ask<Course>("/v1/trainings", { table, name, label, column, mode });
      localStorage.setItem(KEPT, JSON.stringify([{ id: course.id, name: name || "table", when: new Date().toISOString() }, ...kept()].slice(0, 20)));
      go(`/t/${course.id}`);
    } catch (error) {
      setTrouble((error as Refused).problem);
      setAsking(false);
    }
  };
  return (
    <main className="narrow">
      <Stages at={0} />
      <h1>Teach a model your question</h1>
      <p className="lead">One table: a column with sequences, a column with answers. The plan comes first and costs nothing: what leaks, how it will be judged, and what simple rules it must beat.</p>
      <form className="composer" onDragOver={(event) => event.preventDefault()} onDrop={(event) => { event.preventDefault(); void take(event.dataTransfer.files); }} onSubmit={(event) => { event.preventDefault(); void start(); }}>
        <label htmlFor="table">The table, as CSV or TSV</label>
        <textarea id="table" rows={6} spellCheck={false} value={table.length > 40_000 ? `${table.slice(0, 3000)}\n…` : table} readOnly={table.length > 40_000} onChange={(event) => setTable(event.target.value)} placeholder={"id,sequence,tm\na,MKTAYIAKQRQISFVKSHFSRQ,54.2"} />
        <div className="composer-foot">
          <button type="button" className="quiet" onClick={() => file.current!.click()}>Choose a file</button>
          <input ref={file} type="file" className="unseen" tabIndex={-1} aria-label="Choose a table" accept=".csv,.tsv,.txt" onChange={(event) => void take(event.target.files)} />
          <span className="note">or drop it here{name && ` · ${name}`}</span>
          <span className="examples"><span className="note">Try</span><button type="button" onClick={() => { setName("secreted_or_nuclear.csv"); setTable(EXAMPLE); }}>secreted or nuclear</button></span>
        </div>
        {rows.length > 1 && (
          <div className="wide" tabIndex={0} role="group" aria-label="First rows"><table className="peek"><thead><tr>{columns.map((one) => <th key={one} scope="col">{one}</th>)}</tr></thead>
            <tbody>{rows.slice(1, 4).map((row, at) => <tr key={at}>{row.map((cell, n) => <td key={n}>{cell.length > 32 ? `${cell.slice(0, 31)}…` : cell}</td>)}</tr>)}</tbody></table></div>
        )}
        {columns.length > 1 && (
          <div className="conditions">
            <label>Answers<select value={label} onChange={(event) => setLabel(event.target.value)}><option value="">find out</option>{columns.map((one) => <option key={one}>{one}</option>)}</select></label>
            <label>Sequences<select value={column} onChange={(event) => setColumn(event.target.value)}><option value="">find out</option>{columns.map((one) => <option key={one}>{one}</option>)}</select></label>
            <label>What may move<select value={mode} onChange={(event) => setMode(event.target.value)}><option value="">as the table's size suggests</option><option value="frozen">cold: a head only</option><option value="lora">warm: adapters too</option><option value="full">hot: every weight</option></select></label>
          </div>
        )}
        <div className="run"><button type="submit" className="main" disabled={!table.trim() || isAsking}>{isAsking ? "Bringing it …" : "Check and plan"}</button></div>
      </form>
      <Trouble problem={trouble} />
      {kept().length > 0 && <section className="panel" aria-label="Earlier"><header><h2>Earlier, in this browser</h2></header><ul className="plainlist">{kept().map((one) => <li key={one.id}><a href={`/t/${one.id}`} onClick={(event) => { event.preventDefault(); go(`/t/${one.id}`); }}>{one.name}</a> <span className="note">{new Date(one.when).toLocaleString()}</span></li>)}</ul></section>}
    </main>
  );
}
