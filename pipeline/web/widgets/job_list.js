// The jobs of the server, one line each: the first always shown, the others over the page.
// Asks api/jobs each second while one is open, else each five; sends `input` when their number
// changes. Lines are kept by job, so that a button does not lose the focus.
const BUSY = 1000, IDLE = 5000, OPEN = ["running", "queued"];
const box = element.querySelector(".jobs"), list = box.querySelector("ul");
const more = box.querySelector(".more"), lines = new Map();
const dismissed = new Set(JSON.parse(sessionStorage.getItem("visuals.dismissed") || "[]"));
let timer = 0, opened = -1;

function seconds(left) {
  if (left === null) return "";
  return left < 90 ? `${Math.round(left)} s left` : `${Math.round(left / 60)} min left`;
}

function words(job) {
  const heads = { queued: "waiting", done: "done", failed: "failed", stopped: "stopped", crashed: "crashed" };
  if (job.status === "running") return seconds(job.seconds_left) || job.activity || "working";
  const wrong = ["failed", "crashed"].includes(job.status) && job.message;
  return wrong ? `${job.status}: ${job.message}` : heads[job.status];
}

function line(id) {
  const item = document.createElement("li");
  item.innerHTML = '<span class="what"></span><progress></progress><span class="left"></span>' +
    '<button type="button" class="resume" hidden>Resume</button><button type="button" class="end"></button>';
  item.querySelector(".resume").addEventListener("click", () => send(id, "resume"));
  item.querySelector(".end").addEventListener("click", () => end(id));
  return item;
}

function set(node, name, value) {
  if (node[name] !== value) node[name] = value;
}

function show(jobs, note) {
  const shown = jobs.filter((job) => !dismissed.has(job.id) || OPEN.includes(job.status));
  const items = shown.map((job) => {
    if (!lines.has(job.id)) lines.set(job.id, line(job.id));
    const item = lines.get(job.id), bar = item.querySelector("progress"), button = item.querySelector(".end");
    const open = OPEN.includes(job.status), running = job.status === "running";
    set(item, "className", job.status);
    set(item, "title", job.message);
    set(item.querySelector(".what"), "textContent", job.title);
    set(item.querySelector(".left"), "textContent", words(job));
    const resume = item.querySelector(".resume");
    resume.hidden = !job.resumable;
    resume.setAttribute("aria-label", `Resume: ${job.title}`);
    bar.hidden = !running;
    bar.setAttribute("aria-label", job.title);
    if (job.total) { bar.max = job.total; bar.value = job.done; } else bar.removeAttribute("value");
    set(button, "textContent", open ? (job.stopping ? "Stop now" : "Cancel") : "✕");
    button.setAttribute("aria-label", `${open ? button.textContent : "Dismiss"}: ${job.title}`);
    button.dataset.does = open ? "cancel" : "dismiss";
    return item;
  });
  for (const id of lines.keys()) if (!shown.some((job) => job.id === id)) lines.delete(id);
  if (!items.length) {
    const none = document.createElement("li");
    none.className = "none";
    none.textContent = note || "No jobs";
    items.push(none);
  }
  const same = items.length === list.children.length && items.every((item, k) => item === list.children[k]);
  if (!same) list.replaceChildren(...items);
  const rest = items.length - 1;
  more.hidden = rest < 1;
  if (rest < 1) unfold(false);
  set(more, "textContent", more.ariaExpanded === "true" ? "Fewer" : `${rest} more`);
  const count = jobs.filter((job) => OPEN.includes(job.status)).length;
  if (count !== opened) { opened = count; trigger("input"); }
}

function unfold(open) {
  more.setAttribute("aria-expanded", String(open));
  box.classList.toggle("open", open);
}

async function send(id, what) {
  await fetch(`api/runs/${encodeURIComponent(id)}/${what}`, { method: "POST" });
  look();
}

function end(id) {
  if (lines.get(id)?.querySelector(".end").dataset.does === "cancel") return send(id, "cancel");
  dismissed.add(id);
  sessionStorage.setItem("visuals.dismissed", JSON.stringify([...dismissed]));
  look();
}

async function look() {
  clearTimeout(timer);
  if (!box.isConnected) return;
  let jobs = [];
  if (!document.hidden) {
    try {
      const answer = await fetch("api/jobs");
      if (answer.ok) jobs = await answer.json();
      show(jobs, answer.ok ? "" : "Signed out: reload the page");
    } catch {
      show([], "The server does not answer");
    }
  }
  clearTimeout(timer);
  timer = setTimeout(look, jobs.some((job) => OPEN.includes(job.status)) ? BUSY : IDLE);
}

more.addEventListener("click", () => { unfold(more.ariaExpanded !== "true"); look(); });
box.addEventListener("keydown", (event) => { if (event.key === "Escape") { unfold(false); look(); } });
document.addEventListener("visibilitychange", look);
document.addEventListener("click", (event) => {
  if (!box.contains(event.target)) unfold(false);
  clearTimeout(timer);
  timer = setTimeout(look, 500);  // a button of the page may have begun a job
});
look();
