// The frame around the screens: name, ways, how it speaks, light and dark, and the server's token where it asks for one.
import { Component, lazy, StrictMode, Suspense, useEffect, useMemo, useState, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { Analyse } from "./Analyse";
import { ask, askOnce, onLocked, Refused, type Menu, type Problem } from "./api";
import { Compare } from "./Compare";
import { Drug } from "./Drug";
import { Learn } from "./Learn";
import { Limits } from "./Limits";
import { Result } from "./Result";
import { go, light, parameter, useAddress, useStore, voice } from "./store";
import "./style.css";
import { Terms, Trouble } from "./words";

const TrainNew = lazy(() => import("./TrainNew").then((one) => ({ default: one.TrainNew })));
const TrainWatch = lazy(() => import("./TrainWatch").then((one) => ({ default: one.TrainWatch })));

const WAYS: [string, string][] = [["/", "Analyse"], ["/compare", "Compare"], ["/drug", "Drug"], ["/train", "Train"], ["/learn", "Learn"]];

function Key({ open }: { open: () => void }) {
  const [token, setToken] = useState("");
  const [trouble, setTrouble] = useState<Problem | null>(null);
  return (
    <main className="narrow">
      <h1>This server asks who you are</h1>
      <form className="composer" onSubmit={(event) => { event.preventDefault(); ask("/v1/session", { token }).then(open, (error: Refused) => setTrouble(error.problem)); }}>
        <label>The token that was shown when the server was started<input type="password" autoComplete="off" value={token} onChange={(event) => setToken(event.target.value)} /></label>
        <div className="run"><button type="submit" className="main" disabled={!token}>Open</button></div>
      </form>
      <Trouble problem={trouble} />
    </main>
  );
}

function Header({ path, menu }: { path: string; menu: Menu | null }) {
  const tone = useStore(voice), lit = useStore(light);
  const isComparing = useAddress(() => parameter("view")) === "compare" || path === "/compare";
  return (
    <header className="top">
      <a className="name" href="/" onClick={(event) => { event.preventDefault(); go("/"); }}><svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><rect width="32" height="32" rx="8" /><path d="M6 22c4 0 4-12 8-12s4 12 8 12 2-6 4-8" /></svg>Anfinsen</a>
      <nav aria-label="Screens">
        {WAYS.map(([to, word]) => {
          const isHere = to === "/compare" ? isComparing : to === "/" ? !isComparing && (path === "/" || path.startsWith("/r/")) : path.startsWith(to) || (to === "/train" && path.startsWith("/t/"));
          return <a key={to} href={to} aria-current={isHere ? "page" : undefined} onClick={(event) => { event.preventDefault(); go(to); }}>{word}</a>;
        })}
      </nav>
      <div className="settings">
        <span className="local" title={menu ? `${menu.model.name}, ${menu.model.sha256.slice(0, 12)}` : ""}>local: what you ask stays on this machine</span>
        <button type="button" aria-pressed={tone === "expert"} onClick={() => voice.set(tone === "expert" ? "plain" : "expert")}>{tone === "expert" ? "expert" : "plain"}</button>
        <button type="button" aria-label={`Light: ${lit}. Change.`} onClick={() => light.set(lit === "auto" ? "dark" : lit === "dark" ? "light" : "auto")}>{{ auto: "◐ auto", dark: "● dark", light: "○ light" }[lit]}</button>
      </div>
    </header>
  );
}

/** A fault of the page is told in words; the rest of the server goes on. */
class Safe extends Component<{ children: ReactNode; at: string }, { fault: string }> {
  state = { fault: "" };
  static getDerivedStateFromError(error: Error) { return { fault: error.message }; }
  componentDidUpdate(before: { at: string }) { if (before.at !== this.props.at && this.state.fault) this.setState({ fault: "" }); }
  render() {
    if (!this.state.fault) return this.props.children;
    return <main className="narrow"><h1>The page broke</h1><div className="trouble" role="alert"><p><b>{this.state.fault}</b> The answers are safe at their address. Load the page again.</p></div></main>;
  }
}

function App() {
  const path = useAddress(() => location.pathname)!;
  const [menu, setMenu] = useState<Menu | null>(null);
  const [general, setGeneral] = useState<Record<string, string>>({});
  const [isLocked, setLocked] = useState(false);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => onLocked(() => setLocked(true)), []);
  useEffect(() => {
    askOnce<Menu>("/v1/tasks").then(setMenu, (error: Refused) => setTrouble(error.problem));
    askOnce<Record<string, string>>("/v1/terms").then(setGeneral, () => {});
  }, [turn]);
  const terms = useMemo(() => Object.assign({}, ...(menu?.tasks.map((one) => one.terms) ?? []), general) as Record<string, string>, [menu, general]);
  const screen = () => {
    if (isLocked) return <Key open={() => { setLocked(false); setTrouble(null); setTurn(turn + 1); }} />;
    if (!menu) return <main className="narrow">{trouble ? <Trouble problem={trouble} /> : <p className="lead">Opening …</p>}</main>;
    if (path.startsWith("/r/")) return <Result key={path} id={path.slice(3)} menu={menu} />;
    if (path.startsWith("/t/")) return <TrainWatch key={path} id={path.slice(3)} />;
    if (path === "/compare") return <Compare />;
    if (path === "/drug") return <Drug />;
    if (path === "/train") return <TrainNew />;
    if (path === "/learn") return <Learn />;
    if (path === "/limits") return <Limits />;
    return <Analyse menu={menu} />;
  };
  return (
    <Terms.Provider value={terms}>
      <a className="skip" href="#content" onClick={(event) => { event.preventDefault(); document.querySelector<HTMLElement>("main")?.focus(); }}>To the content</a>
      <Header path={path} menu={menu} />
      <Safe at={path}><Suspense fallback={<main className="narrow"><p className="lead">Opening …</p></main>}>{screen()}</Suspense></Safe>
      <footer className="bottom">
        <span>Anfinsen {menu?.model.version}</span><span>{menu && `${menu.model.name} · ${menu.model.sha256.slice(0, 12)}`}</span>
        <span className="spring" /><a href="/limits" onClick={(event) => { event.preventDefault(); go("/limits"); }}>limits</a><a href="/openapi.json">OpenAPI</a><span>Predictions are hypotheses, not results.</span>
      </footer>
    </Terms.Provider>
  );
}

createRoot(document.getElementById("root")!).render(<StrictMode><App /></StrictMode>);
