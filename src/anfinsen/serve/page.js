// The first page: a sequence goes in, checks answer while one types, cards fill as the job goes on.
// Text from anybody is only ever set as text, never as HTML. It asks nobody but the server that it came from.
"use strict";

const EXAMPLES = {
  ubiquitin: ">ubiquitin human\nMQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG\n",
  lysozyme: ">lysozyme hen\nKVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSALLSSDITASVNCAKKIVSDGNGMNAWVAWRNRCKGTDVQAWIRGCRL\n",
};
const PAUSE = 600; // milliseconds of quiet before what was typed is checked
const ENDED = ["done", "failed", "cancelled"];
const SHOWN = 200; // proteins with cards on the page; the report and the file hold all
const at = (id) => document.getElementById(id);

// An element with a class, text and children.
function make(kind, style, text, ...children) {
  const made = document.createElement(kind);
  if (style) made.className = style;
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

class Refused extends Error {
  constructor(status, body) {
    const problem = body.error ?? { reason: "The server did not answer.", remedy: "Is it still running?" };
    super(`${problem.reason} ${problem.remedy}`);
    this.status = status;
    this.refused = body.refused ?? [];
  }
}

async function ask(path, body, method) {
  const options = { method: method ?? (body ? "POST" : "GET"), headers: {} };
  if (body) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused(0, {});
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const refusal = new Refused(answer.status, await answer.json().catch(() => ({})));
  if (refusal.status === 401) askForKey();
  throw refusal;
}

function tell(place, text) {
  place.textContent = text;
  place.hidden = !text;
}

// The token ------------------------------------------------------------------------------------------------------

function askForKey() {
  at("key").hidden = false;
  at("token").focus();
}

at("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("/v1/session", { token: at("token").value });
    at("token").value = "";
    at("key").hidden = true;
    tell(at("key-told"), "");
    start();
  } catch (refusal) {
    tell(at("key-told"), refusal.message);
  }
});

// The form -------------------------------------------------------------------------------------------------------

const capital = (text) => text[0].toUpperCase() + text.slice(1);
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

function problem(one) {
  const item = make("li", "bad notice");
  item.append(make("b", "", `${one.where}: `), `${one.reason} ${one.remedy}`);
  return item;
}

function message(name, one) {
  const place = one.position ? `, residue ${one.position}` : "";
  return make("li", "", "", make("b", "", `${name}${place}: `), one.text);
}

let pause, newest = 0;

function typed() {
  clearTimeout(pause);
  at("go").disabled = true;
  pause = setTimeout(check, PAUSE);
}

async function check() {
  const mine = ++newest, text = at("sequences").value;
  const place = at("checks");
  if (!text.trim()) return place.replaceChildren();
  try {
    const told = await ask("/v1/check", { sequences: text });
    if (mine !== newest) return;
    const said = told.accepted.length
      ? `${plural(told.accepted.length, "protein")}, ${plural(told.residues, "residue")}: ready.`
      : "Nothing here can be answered yet.";
    const list = make("ul", "problems");
    list.append(...told.refused.slice(0, 20).map(problem));
    list.append(...told.merged.slice(0, 5).map((text) => make("li", "", text)));
    const notes = told.accepted.flatMap((one) => one.messages.map((note) => message(one.id, note)));
    list.append(...notes.slice(0, 10));
    place.replaceChildren(make("p", "", said), list);
    at("go").disabled = told.accepted.length === 0;
  } catch (refusal) {
    if (mine === newest) place.replaceChildren(make("p", "notice bad", refusal.message));
  }
}

function fill(text) {
  at("sequences").value = text;
  at("sequences").focus();
  clearTimeout(pause);
  check();
}

const box = at("sequences");
box.addEventListener("input", typed);
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("ask").requestSubmit(at("go"));
});
for (const kind of ["dragenter", "dragover"]) {
  box.addEventListener(kind, (event) => { event.preventDefault(); box.classList.add("over"); });
}
for (const kind of ["dragleave", "drop"]) box.addEventListener(kind, () => box.classList.remove("over"));
box.addEventListener("drop", async (event) => {
  const [file] = event.dataTransfer.files;
  if (!file) return;
  event.preventDefault();
  fill(await file.text());
});
at("file").addEventListener("change", async () => {
  const [file] = at("file").files;
  if (file) fill(await file.text());
});
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => fill(EXAMPLES[button.dataset.example]));
}

// What can be asked is told by the server, so a new question stands here by itself.
async function showQuestions() {
  const { tasks } = await ask("/v1/tasks");
  const mine = tasks.filter((task) => !task.of_pairs);
  at("tasks").replaceChildren(...mine.map((task) => {
    const input = make("input");
    Object.assign(input, { type: "checkbox", checked: true, value: task.name });
    input.addEventListener("change", count);
    return make("label", "", "", input, task.question);
  }));
  const known = new Map(mine.flatMap((task) => task.conditions).map((one) => [one.name, one]));
  at("conditions").replaceChildren(...[...known.values()].map((one) => {
    const input = make("input");
    Object.assign(input, { type: "number", step: "any", name: one.name });
    const unit = one.unit ? `, in ${one.unit}` : "";
    const meaning = capital(one.meaning);
    return make("label", "number", "", make("span", "", meaning + unit), input);
  }));
  at("conditions-box").hidden = known.size === 0;
  count();
}

function count() {
  at("asked").textContent = `${plural(wanted().length, "question")} a protein`;
}

const wanted = () => [...at("tasks").querySelectorAll("input:checked")].map((input) => input.value);

at("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (at("go").disabled) return;
  tell(at("told"), "");
  const all = at("tasks").querySelectorAll("input").length, tasks = wanted();
  const body = { sequences: at("sequences").value };
  if (tasks.length < all) body.tasks = tasks;
  if (!tasks.length) return tell(at("told"), "No question is chosen. Choose at least one.");
  const told = [...at("conditions").querySelectorAll("input")].filter((input) => input.value !== "");
  if (told.length) body.conditions = Object.fromEntries(told.map((input) => [input.name, Number(input.value)]));
  at("go").disabled = true;
  try {
    const job = await ask("/v1/jobs", body);
    history.pushState(null, "", job.links.page);
    follow(job);
    at("job-title").focus();
  } catch (refusal) {
    tell(at("told"), refusal.message);
  }
  at("go").disabled = false;
});

// The job --------------------------------------------------------------------------------------------------------

let stream;

function follow(job) {
  stream?.close();
  at("proteins").replaceChildren();
  at("job").hidden = false;
  show(job);
  stream = new EventSource(job.links.events);
  const mine = stream, seen = new Set();
  mine.addEventListener("job", (event) => {
    const now = JSON.parse(event.data);
    show(now);
    if (ENDED.includes(now.state)) mine.close();
  });
  mine.addEventListener("protein", (event) => {
    const one = JSON.parse(event.data);
    if (seen.has(one.number) || seen.size >= SHOWN) return;
    seen.add(one.number);
    const made = protein(one);
    const after = [...at("proteins").children].find((other) => Number(other.dataset.number) > one.number);
    at("proteins").insertBefore(made, after ?? null);
  });
}

function show(job) {
  const ended = ENDED.includes(job.state);
  at("state").textContent = `${capital(job.state)}. ${job.sentence}`;
  at("state").className = job.state === "failed" ? "notice bad" : "";
  at("done").max = Math.max(1, job.asked);
  at("done").value = job.answered;
  at("done").hidden = ended;
  for (const name of ["report", "answers", "request"]) at(name).href = job.links[name];
  at("report").hidden = at("answers").hidden = !(ended && job.answered);
  at("request").hidden = at("forget").hidden = !ended;
  at("cancel").hidden = ended;
  at("cancel").onclick = () => ask(`${job.links.job}/cancel`, {}).then(show, (refusal) => tell(at("told"), refusal.message));
  at("forget").onclick = () => ask(job.links.job, null, "DELETE").then(() => location.assign("/"));
  at("address").textContent = location.origin + job.links.page;
  at("address").href = job.links.page;
  at("refused").replaceChildren(...job.refused.map(problem), ...job.merged.map((text) => make("li", "", text)));
  document.title = `${job.answered} of ${job.asked} · Anfinsen`;
}

function protein(one) {
  const cards = make("div", "cards");
  cards.append(...one.answers.map(card));
  const notes = make("ul", "problems");
  notes.append(...one.messages.map((note) => message(note.level, note)));
  const made = make("article", "protein", "", make("h3", "", one.title), make("p", "soft", plural(one.length, "residue")), notes, cards);
  made.dataset.number = one.number;
  return made;
}

function card(answer) {
  const made = make("section", "card", "", make("h4", "", answer.question), make("p", "brief", answer.brief), make("p", "", answer.sentence));
  if (answer.sure) {
    made.append(make("p", "sure", "", make("b", "", `${capital(answer.sure.word)}: `), `${answer.sure.figure}, ${answer.sure.meaning}`));
  }
  if (answer.near) {
    const style = answer.near.far ? "reach far" : "reach";
    made.append(make("p", style, "", make("b", "", `${answer.near.title}: `), answer.near.reason));
  }
  return made;
}

// The start ------------------------------------------------------------------------------------------------------

async function start() {
  const [, id] = location.pathname.match(/^\/r\/([0-9a-f]{32})$/) ?? [];
  tell(at("told"), "");
  try {
    await showQuestions();
    if (id) {
      const { sequences } = await ask(`/v1/jobs/${id}/request`);
      if (typeof sequences === "string") at("sequences").value = sequences;
      follow(await ask(`/v1/jobs/${id}`));
    } else {
      stream?.close();
      at("job").hidden = true;
    }
    if (at("sequences").value) check();
  } catch (refusal) {
    if (refusal.status !== 401) tell(at("told"), refusal.message);
  }
}

addEventListener("popstate", start);
start();
