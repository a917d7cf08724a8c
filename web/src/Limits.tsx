// Every limit of this server with its reason, as it tells them itself.
import { useEffect, useState } from "react";
import { askOnce, Refused, type Problem } from "./api";
import { Trouble } from "./words";

type Limit = { name: string; value: number; meaning: string };

export function Limits() {
  const [limits, setLimits] = useState<Limit[]>([]);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  useEffect(() => { askOnce<Limit[]>("/v1/limits").then(setLimits, (error: Refused) => setTrouble(error.problem)); }, []);
  return (
    <main className="narrow">
      <h1>How much may be asked</h1>
      <p className="lead">What is larger is refused in words, never cut. Most of it can be asked on the command line, which has its own limits: <code>anfinsen limits</code>.</p>
      <Trouble problem={trouble} />
      <table className="limits">
        <thead><tr><th scope="col">limit</th><th scope="col">value</th><th scope="col">what it means</th></tr></thead>
        <tbody>{limits.map((one) => <tr key={one.name}><th scope="row">{one.name.replaceAll("_", " ")}</th><td>{one.value.toLocaleString("en")}</td><td>{one.meaning}</td></tr>)}</tbody>
      </table>
      <p className="note">For programs: <a href="/v1/limits">/v1/limits</a></p>
    </main>
  );
}
