// One answer as a card: a sentence, a number with its interval, how sure, near or far, and three doors: why, data, cite.
import { useState } from "react";
import type { Answer, Card, Explanation, Menu, Prediction, Task } from "./api";
import { useLook } from "./look";
import { useStore, voice } from "./store";
import { Bars, Nearness, Prose, RangeLine, StandingView, Surety, Trouble } from "./words";

const MOST = 5;

function Picture({ answer, task }: { answer: Answer; task?: Task }) {
  if (answer.probabilities && answer.label) {
    const rows = Object.entries(answer.probabilities as Record<string, number>).sort((a, b) => b[1] - a[1]);
    const set = new Set((answer.set as string[]) ?? [answer.label]);
    return <Bars rows={rows.slice(0, Math.max(3, Math.min(MOST, set.size))).map(([name, share]) => ({ name, share, firm: set.has(name) }))} />;
  }
  if (Array.isArray(answer.labels)) {
    const labels = answer.labels as { label: string; name?: string; probability: number }[];
    return <Bars rows={labels.slice(0, MOST).map((one) => ({ name: one.name ?? one.label, share: one.probability, firm: one.probability >= 0.5 }))} />;
  }
  if (typeof answer.value === "number") {
    return <RangeLine value={answer.value} low={answer.low} high={answer.high} span={task?.span ?? []} unit={answer.unit ?? ""} />;
  }
  return null;
}

const citationOf = (menu: Menu, card: Card) =>
  `Anfinsen ${menu.model.version}, model ${menu.model.name} (${menu.model.sha256.slice(0, 16)}), answer '${card.title}'.`;

export function CardView({ card, answer, task, menu, prediction, explained, setExplained }: {
  card: Card; answer?: Answer; task?: Task; menu: Menu; prediction: Prediction | null;
  explained: Explanation | null; setExplained: (one: Explanation | null) => void;
}) {
  const [open, setOpen] = useState<"" | "why" | "data" | "cite">("");
  const { isAsking, trouble, start } = useLook<Explanation>("/v1/explain");
  const tone = useStore(voice);
  const mine = explained?.task === card.task ? explained : null;
  const toggle = (which: "why" | "data" | "cite") => setOpen(open === which ? "" : which);
  const why = async () => {
    toggle("why");
    if (mine || !prediction || open === "why") return;
    const sequences = [{ id: prediction.id, sequence: prediction.sequence }];
    const found = await start({ sequences, task: card.task, conditions: prediction.conditions });
    if (found) setExplained(found);
  };
  return (
    <article className={card.near?.far ? "card is-far" : "card"} data-task={card.task} aria-label={card.title}>
      <header>
        <h3>{card.title}</h3>
        <p className="brief">{card.brief}</p>
      </header>
      <p className="sentence"><Prose text={card.sentence} terms={task?.terms} /></p>
      {answer && <Picture answer={answer} task={task} />}
      <p className="trust">
        {card.sure && <Surety sure={card.sure} />}
        {card.near && <Nearness near={card.near} />}
      </p>
      {tone === "expert" && card.near && <p className="note">{card.near.reason}</p>}
      {tone === "expert" && task?.standing && <p className="note">{task.standing.headline}; {task.standing.brief}.</p>}
      <p className="doors-small">
        <button type="button" aria-expanded={open === "why"} onClick={() => void why()}>why</button>
        <button type="button" aria-expanded={open === "data"} onClick={() => toggle("data")}>data</button>
        <button type="button" aria-expanded={open === "cite"} onClick={() => toggle("cite")}>cite</button>
      </p>
      {open === "why" && (
        <div className="fold">
          {isAsking && <p className="note">Hiding residues one by one and asking again …</p>}
          <Trouble problem={trouble} />
          {mine && <>{mine.sentences.map((one) => <p key={one}>{one}</p>)}<p className="note">Its residues stand as a track above: up speaks for the answer, down against it.</p></>}
        </div>
      )}
      {open === "data" && (
        <div className="fold">
          <p>{task?.explanation}</p>
          {task?.standing ? <StandingView standing={task.standing} /> : <p>No score was kept with this model.</p>}
          {card.limits && <p className="note">{card.limits}</p>}
          {tone === "expert" && answer && <pre className="raw">{JSON.stringify(answer, (_, value) => (Array.isArray(value) && value.length > 12 ? [...value.slice(0, 8), `… ${value.length} in all`] : value), 1)}</pre>}
        </div>
      )}
      {open === "cite" && (
        <div className="fold">
          <p>{citationOf(menu, card)}</p>
          {task && task.source.dataset && <p>Learned from {task.source.trained_on.toLocaleString("en")} proteins: {task.source.dataset}{task.source.licence && `, licence ${task.source.licence}`}.</p>}
          {task && task.source.references.length > 0 && <p>Figures beside it are from {task.source.references.join("; ")}.</p>}
          <button type="button" onClick={() => void navigator.clipboard?.writeText(citationOf(menu, card))}>copy</button>
        </div>
      )}
    </article>
  );
}
