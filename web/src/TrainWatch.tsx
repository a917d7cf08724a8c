// A training as it happens: its plan, every step, the narrator, how good it became; closing the page changes nothing.
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { ask, follow, Refused, type Course, type Line, type Problem, type Step } from "./api";
import { go, useDark } from "./store";
import { Stages } from "./TrainPath";
import { Trouble } from "./words";

function Lines({ lines }: { lines: Line[] }) {
  return <ul className="lines">{lines.filter((one) => one.level !== "heading").map((one, at) => <li key={at} className={one.level}>{one.level === "warning" && <b>Mind </b>}{one.level === "refused" && <b>Refused </b>}{one.level === "error" && <b>Not possible </b>}{one.text}</li>)}</ul>;
}

const HEATS: [string, string][] = [["cold", "the body rests, the heads learn"], ["warm", "adapters and heads learn"], ["hot", "every weight learns"], ["blazing", "every weight, many tasks"]];

/** The loss of training and of proteins that are not trained on, of one round. */
function Loss({ steps }: { steps: Step[] }) {
  const place = useRef<HTMLDivElement>(null), plot = useRef<uPlot | null>(null);
  const tone = useDark();
  useEffect(() => {
    const style = getComputedStyle(document.documentElement), ink = style.getPropertyValue("--ink-soft").trim(), line = style.getPropertyValue("--line").trim();
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
    const room = place.current!; // the page may let go of it before this effect ends
    plot.current = new uPlot({
      width: room.clientWidth || 600, height: 260, cursor: { drag: { x: false, y: false } }, legend: { live: false },
      scales: { x: { time: false } }, axes: [{ ...axis, label: "step", labelSize: 18 }, { ...axis, size: 54 }],
      series: [{ label: "step" }, { label: "loss it learns from", stroke: style.getPropertyValue("--accent").trim(), width: 1.5 },
        { label: "loss on others", stroke: style.getPropertyValue("--warm").trim(), width: 2, spanGaps: true, points: { show: true, size: 6 } }],
    }, [[], [], []], room);
    const watch = new ResizeObserver(() => plot.current?.setSize({ width: room.clientWidth, height: 260 }));
    watch.observe(room);
    return () => { watch.disconnect(); plot.current?.destroy(); };
  }, [tone]);
  useEffect(() => {
    const shown = steps.filter((one) => typeof one.loss === "number");
    plot.current?.setData([shown.map((one) => one.step), shown.map((one) => one.loss), shown.map((one) => one.valid ?? null)] as uPlot.AlignedData);
  }, [steps, tone]);
  const last = steps.at(-1);
  return <div ref={place} className="plot-place" role="img" aria-label={last ? `Loss ${last.loss?.toFixed?.(3)} at step ${last.step}; best on proteins not trained on ${last.best?.toFixed?.(3) ?? "not looked yet"}` : "No step yet"} />;
}

function Glow({ step }: { step: Step }) {
  const layers = Object.entries((step.gradients ?? {}) as Record<string, number>);
  const most = Math.max(...layers.map(([, value]) => value), 1e-12);
  if (!layers.length) return null;
  return (
    <div className="glow"><span className="note">the pull of the error, by layer</span>
      <ul>{layers.map(([name, value]) => <li key={name} title={`${name}: ${value.toPrecision(3)}`}><i style={{ opacity: 0.12 + 0.88 * (value / most) }} /><span>{name.replace(/^.*\./, "")}</span></li>)}</ul>
    </div>
  );
}

const PARTS: [string, string][] = [["Forward", "it reads a batch and guesses"], ["Loss", "how wrong the guesses are"], ["Backprop", "which weight is to blame"], ["Step", "every weight moves a little"]];

export function TrainWatch({ id }: { id: string }) {
  const [course, setCourse] = useState<Course | null>(null);
  const [steps, setSteps] = useState<Step[]>([]);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [round, setRound] = useState<string | null>(null);
  const [slow, setSlow] = useState<number | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    setSteps([]);
    let shut = () => {}, isGone = false;
    ask<Course>(`/v1/trainings/${id}`).then((first) => {
      if (isGone) return;
      setCourse(first);
      shut = follow(`/v1/trainings/${id}/events`, {
        steps: (records: Step[]) => setSteps((before) => [...before, ...records]),
        training: (now: Course) => { setCourse(now); return !["planning", "training"].includes(now.stage); },
      });
    }).catch((error: Refused) => setTrouble(error.problem));
    return () => { isGone = true; shut(); };
  }, [id, turn]);
  const rounds = useMemo(() => [...new Set(steps.map((one) => one.round as string))], [steps]);
  const shownRound = round ?? rounds.at(-1) ?? "";
  const shown = useMemo(() => steps.filter((one) => one.round === shownRound), [steps, shownRound]);
  const last = shown.at(-1);
  const told = useMemo(() => shown.flatMap((one) => ((one.sentences ?? []) as string[]).map((text) => ({ step: one.step as number, text }))), [shown]);
  const stage = course?.stage;
  useEffect(() => {
    if (slow === null) return;
    const timer = setTimeout(() => setSlow(slow < 3 ? slow + 1 : null), 2600);
    return () => clearTimeout(timer);
  }, [slow]);
  if (trouble) return <main className="narrow"><h1>This training is not here</h1><Trouble problem={trouble} /></main>;
  if (!course) return <main className="narrow"><p className="lead">Opening …</p></main>;
  const order = async (what: "start" | "stop") => {
    try {
      setCourse(await ask<Course>(`/v1/trainings/${id}/${what}`, undefined, "POST"));
      setTrouble(null);
      setTurn(turn + 1);
    } catch (error) {
      setTrouble((error as Refused).problem);
    }
  };
  const isTraining = stage === "training";
  const card = course.told.slice(course.told.findIndex((one) => one.text === "How good it is") + 1).filter((one) => !/^(All scores are in|The model is in)/.test(one.text));
  const hasCard = course.told.some((one) => one.text === "How good it is");
  const sentence = (word: string) => [...told].reverse().find((one) => one.text.startsWith(word === "Backprop" ? "Backward" : word))?.text;
  return (
    <main>
      <Stages at={stage === "planning" ? 0 : stage === "done" ? 3 : stage === "planned" || stage === "refused" ? 1 : 2} />
      <div className="title"><div><h1>{String(course.request.name || "A table of your own")}</h1>
        <p className="lead" aria-live="polite">{{ planning: "The table is read, dealt and judged …", planned: "This is the plan. Nothing is trained yet.", refused: "It cannot be learned from as it is.", training: "It learns. You may close this page.", done: "It is trained.", failed: "It ended with an error.", stopped: "It was stopped; what it has learned is kept." }[course.stage]}</p></div>
        <div className="run">
          {(stage === "planned" || stage === "stopped" || stage === "failed") && <button type="button" className="main" onClick={() => void order("start")}>{stage === "planned" ? "Train" : "Go on"}</button>}
          {isTraining && <button type="button" onClick={() => void order("stop")}>Stop and keep</button>}
        </div>
      </div>
      {stage === "done" && hasCard && <section className="panel" aria-label="How good it is"><header><h2>How good it is</h2></header><Lines lines={card} /></section>}
      {steps.length > 0 && (
        <section className="panel training" aria-label="Learning">
          <header><h2>Learning</h2>
            {rounds.length > 1 && <label>round <select value={shownRound} onChange={(event) => setRound(event.target.value)}>{rounds.map((one) => <option key={one} value={one}>{one ? `${one} (to be judged)` : "the one that is kept"}</option>)}</select></label>}
            <span className="spring" />
            {last && <span className="note">step {last.step} of {last.steps}, epoch {Number(last.epoch ?? 0) + 1}{last.best !== undefined && `, best on others ${last.best.toFixed(3)} at step ${last.best_step}`}</span>}
          </header>
          <div className="learning">
            <Loss steps={shown} />
            <div>
              <ul className="heats" aria-label="Heat">{HEATS.map(([word, meaning]) => <li key={word} className={last?.heat === word ? `now ${word}` : word} aria-current={last?.heat === word}><b>{word}</b><span>{meaning}</span></li>)}</ul>
              {last && <p className="note">{Number(last.moving).toLocaleString("en")} of {Number(last.weights).toLocaleString("en")} weights may move.</p>}
              {last && <Glow step={last} />}
            </div>
          </div>
          <ol className="parts" aria-label="What one step does">
            {PARTS.map(([word, meaning], at) => <li key={word} className={slow === at || (slow === null && isTraining) ? `lit beat${slow === null ? ` b${at}` : ""}` : ""}><b>{at + 1} {word}</b><span>{(slow === at ? sentence(word) : null) ?? meaning}</span></li>)}
          </ol>
          <p><button type="button" onClick={() => setSlow(0)} disabled={!steps.length}>One step in slow motion</button></p>
          <div className="narrator" tabIndex={0} role="log" aria-label="The narrator">{[...told].reverse().slice(0, 60).map((one, at) => <p key={told.length - at} className={/^Over-fitting/.test(one.text) ? "warning" : ""}><span className="note">{one.step}</span> {one.text}</p>)}</div>
        </section>
      )}
      {course.told.length > 0 && (stage === "failed" || stage === "stopped") && <section className="panel"><header><h2>What it said</h2></header><Lines lines={course.told.slice(-12)} /></section>}
      {stage === "planning" && <progress aria-label="planning" />}
      {course.plan.length > 0 && <section className="panel" aria-label="The plan"><header><h2>{stage === "refused" ? "Why not" : "The plan"}</h2></header><Lines lines={course.plan} /></section>}
      <section className="panel" aria-label="Do it again"><header><h2>The same on the command line</h2></header><pre tabIndex={0}>{course.command}{course.made && `\nanfinsen predict proteins.fasta --bundle ${course.made}\nanfinsen serve --bundle ${course.made}`}</pre></section>
      <p><a href="/train" onClick={(event) => { event.preventDefault(); go("/train"); }}>Another table</a></p>
    </main>
  );
}
