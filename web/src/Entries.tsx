// Proteins by their ids: nothing is asked of others until a button is pressed, and then only the id leaves this machine.
import { plural, type Entry, type Gathered } from "./api";
import { useLook } from "./look";
import { ProblemLine } from "./Problems";
import { Trouble } from "./words";

const houseOf = ({ house }: Entry) => house.replace(/^The /, "the ");
const structureOf = ({ id }: Entry) => `AF-${id.replace(/-\d+$/, "")}-F1`;

export function Entries({ entries, take }: { entries: Entry[]; take: (text: string) => void }) {
  const { told, trouble, isAsking, start } = useLook<Gathered>("/v1/fetch");
  const get = async (ids: string[]) => {
    const { found = [] } = (await start({ ids })) ?? {};
    if (found.length === 1 || (found.length && found.every((one) => !one.is_structure))) take(found.map((one) => one.text).join(""));
  };
  const [first] = entries, isOne = entries.length === 1, isProtein = isOne && first.house === "UniProt";
  return (
    <div className="entries">
      <p>
        <b>{isOne ? `${first.id} is an id of ${houseOf(first)}` : `${plural(entries.length, "id")} of ${[...new Set(entries.map(houseOf))].join(", ")}`}.</b>{" "}
        <span className="note">Only {isOne ? "the id leaves" : "the ids leave"} this machine, for {[...new Set(entries.map((one) => one.host))].join(", ")}.</span>
      </p>
      <p className="mends">
        <button type="button" disabled={isAsking} onClick={() => void get(entries.map((one) => one.id))}>{isAsking ? "Asking …" : isProtein ? "get its sequence" : isOne ? "get its structure" : "get them"}</button>
        {isProtein && <button type="button" disabled={isAsking} onClick={() => void get([structureOf(first)])}>get its structure from AlphaFold DB</button>}
        {told && told.found.length > 1 && told.found.map((one) => <button type="button" key={one.id} onClick={() => take(one.text)}>take {one.id}</button>)}
      </p>
      {told && told.found.length > 1 && told.found.some((one) => one.is_structure) && <p className="note">Structures are asked about one at a time.</p>}
      {told && told.refused.length > 0 && <ul className="problems">{told.refused.map((one) => <ProblemLine key={one.where} problem={one} />)}</ul>}
      <Trouble problem={trouble} />
    </div>
  );
}
