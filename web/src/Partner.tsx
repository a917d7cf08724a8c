// A second protein: whether the two meet, with the map between both chains as the reason.
import { useState } from "react";
import type { PairTold } from "./api";
import { useLook } from "./look";
import { select } from "./store";
import { spansOf } from "./Sites";
import { Messages, Prose, Trouble } from "./words";

export function PartnerBox({ protein }: { protein: { id: string; sequence: string } }) {
  const [text, setText] = useState("");
  const { told, trouble, isAsking, start } = useLook<PairTold>("/v1/interact");
  const partner = { id: /^>\s*(\S+)/.exec(text.trim())?.[1] ?? "partner", sequence: text.replace(/^>.*$/gm, "") };
  return (
    <div className="drugs">
      <form onSubmit={(event) => { event.preventDefault(); void start({ sequences: [{ ...protein, partner }] }); }}>
        <label>The other protein, as a sequence<textarea rows={3} spellCheck={false} value={text} onChange={(event) => setText(event.target.value)} placeholder=">partner" /></label>
        <div className="composer-foot">
          <span className="examples"><button type="button" onClick={() => setText(`>${protein.id}\n${protein.sequence}\n`)}>with itself</button></span>
          <span className="spring" />
          <button type="submit" className="main" disabled={!partner.sequence.trim() || isAsking}>{isAsking ? "Asking …" : "Do they meet?"}</button>
        </div>
      </form>
      <Trouble problem={trouble} />
      {told && (
        <div className="meeting">
          <img src={`data:image/svg+xml;utf8,${encodeURIComponent(told.drawing)}`} alt={`Map between ${told.ids.join(" and ")}: amber stretches speak to each other`} />
          <div>
            <p><Prose text={told.sentence} terms={told.terms} /></p>
            <p>{told.reason}</p>
            <p className="doors-small"><button type="button" onClick={() => { select(told.places[0].flatMap((at) => spansOf([at]))); document.querySelector(".tracks-field")?.scrollIntoView({ behavior: "smooth", block: "center" }); }}>show on the chain</button></p>
            <Messages messages={told.messages} />
            <p className="note">{told.limits}</p>
          </div>
        </div>
      )}
    </div>
  );
}
