// The views of a photo: its mask to paint on, before and after, the result. Coordinates of strokes
// are shares of the picture, so its size and the zoom are no matter. Zoom and keys follow in
// photo_zoom.js and photo_keys.js, which share these names.
const PAINT = "rgba(255, 64, 129, 0.6)", ERASE = "rgba(20, 20, 20, 0.6)", VIEW = "visuals.view";
const find = (selector) => element.querySelector(selector);
const canvas = find("canvas"), pen = canvas.getContext("2d"), sheet = find(".sheet");
const stage = find(".frame"), tools = find(".tools"), caption = find("figcaption span");
const both = find(".both"), divider = find("[name=divider]"), link = find(".download");
const brush = find("[name=brush]"), help = find(".help");
const variants = find(".variants"), alone = find(".cutout");
const EMPTY = { id: "", seq: 0, picture: "", alt: "", strokes: [], numbers: [], results: [] };
let state = EMPTY, image = null, answered = 0, view = "mask", tool = "", stroke = null, at = null;
let undone = [], picked = 0;  // of the results

const radius = () => brush.value / 200;
const begun = (point) => ({ paint: tool === "paint", radius: radius(), points: [point] });
const inGrid = () => view === "result" && state.results.length > 1;
const perPixel = () => canvas.width / (canvas.getBoundingClientRect().width || canvas.width);

function line(one) {
  const side = Math.max(canvas.width, canvas.height), points = one.points;
  pen.strokeStyle = pen.fillStyle = one.paint ? PAINT : ERASE;
  pen.lineWidth = 2 * one.radius * side;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(points[0][0] * canvas.width, points[0][1] * canvas.height);
  for (const [x, y] of points) pen.lineTo(x * canvas.width, y * canvas.height);
  pen.stroke();
}

function draw() {
  if (!image) return;
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  state.strokes.slice(answered).forEach(line);  // those that the server has not answered yet
  if (stroke) line(stroke);
  if (!tool || !at) return;
  const side = Math.max(canvas.width, canvas.height);
  for (const [colour, width] of [["#000", 3], ["#fff", 1.5]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = width * perPixel();
    pen.beginPath();
    pen.arc(at[0] * canvas.width, at[1] * canvas.height, radius() * side, 0, 7);
    pen.stroke();
  }
}

function show() {
  const count = state.results.length, one = state.results[picked];
  if (!count) view = "mask";
  const masks = view === "mask", grid = inGrid();
  sheet.hidden = !state.picture || grid;
  variants.hidden = !grid;
  canvas.hidden = !masks;
  both.hidden = masks;
  both.classList.toggle("alone", view === "result");
  tools.style.visibility = masks && state.picture ? "visible" : "hidden";
  element.querySelectorAll("[data-view]").forEach((b) => {
    b.setAttribute("aria-pressed", String(b.dataset.view === view));
    b.disabled = b.dataset.view !== "mask" && !count;
  });
  element.querySelectorAll("[data-zoom]").forEach((b) => { b.disabled = grid; });
  element.querySelectorAll("[data-tool]").forEach((b) => {
    b.setAttribute("aria-pressed", String(b.dataset.tool === tool));
  });
  for (const what of ["undo", "clear"]) find(`[data-do=${what}]`).disabled = !state.strokes.length;
  find("[data-do=redo]").disabled = !undone.length;
  stage.style.touchAction = (masks && tool) || zoom > 1 ? "none" : "pan-x pan-y";
  canvas.style.cursor = tool ? "none" : "";
  link.hidden = !count || grid;
  alone.hidden = link.hidden || !one.cutout;
  const words = grid ? `${count} edits · press one to compare it with the photo` : one?.made;
  caption.textContent = caption.title = (masks ? state.alt : words) || "Looking …";
  draw();
}

function look(next) {
  if (next !== "mask" && !state.results.length) return;
  view = next;
  sessionStorage.setItem(VIEW, JSON.stringify({ id: state.id, view }));
  show();
}

function seen(id) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(VIEW));
    return kept.id === id ? kept.view : "";
  } catch { return ""; }
}

function compare(number) {
  const [before, after] = both.querySelectorAll("img"), one = state.results[picked = number];
  for (const img of [before, after]) img.removeAttribute("src");
  if (!one) return;
  before.src = one.before || one.after;
  after.src = link.href = one.after;
  offer(alone, one.cutout);
  before.alt = `${one.made}, before`;
  after.alt = one.made;
  divider.value = 50;
  divide();
}

function offer(save, cutout = "") {
  save.hidden = !cutout;
  save.href = cutout;
  save.download = `cutout-${decodeURIComponent(cutout.split("/").pop())}`;
}

function lay() {
  const several = state.results.length > 1 ? state.results : [];
  variants.replaceChildren(...several.map(({ name, after, made, cutout }, k) => {
    const cell = document.createElement("div");
    cell.innerHTML = "<button type=button><img></button><p><span></span>"
      + "<a class=download download>Download</a><a class=cutout>Cut-out</a></p>";
    const [button, img, text, save, cut] = cell.querySelectorAll("button, img, span, a");
    button.dataset.variant = k;
    img.src = save.href = after;
    img.alt = made;
    offer(cut, cutout);
    text.textContent = text.title = name;
    return cell;
  }));
}

function divide() {
  both.style.setProperty("--at", divider.value + "%");
  divider.setAttribute("aria-valuetext", divider.value + "% before");
}

function take(value) {
  const next = { ...EMPTY, ...value };
  const same = next.id === state.id && Boolean(next.id);
  if (same && !next.picture) return;  // what this page sent itself
  const count = next.results.length;
  const changed = JSON.stringify(next.results) !== JSON.stringify(state.results);
  if (same && next.seq < state.seq) {
    state = { ...state, results: next.results };
    tell();  // an answer to older strokes took the newer ones' place: once more
  } else {
    if (!same) { stroke = at = null; undone = []; canvas.dataset.seq = ""; fit(); }
    state = next;
    if (next.picture) load(next);
    else image = null;
  }
  if (changed) { compare(0); lay(); }
  const usual = count > 1 ? "result" : count ? "both" : "mask";
  if (!same) view = seen(next.id) || usual;
  else if (changed) look(usual);
  arrange();
  show();
}

function load(mine) {
  const loaded = new Image();
  loaded.onload = () => {
    if (mine.id !== state.id || mine.seq !== state.seq) return;
    image = loaded;
    answered = mine.strokes.length;
    if (canvas.width !== loaded.width || canvas.height !== loaded.height) {
      canvas.width = loaded.width;
      canvas.height = loaded.height;
    }
    canvas.setAttribute("aria-label", mine.alt);
    canvas.dataset.id = mine.id;
    canvas.dataset.seq = mine.seq;
    arrange();
    draw();
  };
  loaded.src = mine.picture;
}

function tell() {
  const { id, seq, strokes, numbers } = state;
  props.value = { id, seq, strokes: [...strokes], numbers, picture: "", alt: "" };
  trigger("input");
}

function change(strokes) {
  state = { ...state, strokes, seq: state.seq + 1 };
  answered = Math.min(answered, strokes.length);
  show();
  tell();
}

const DO = {
  undo() { undone.push(state.strokes.at(-1)); change(state.strokes.slice(0, -1)); },
  redo() { change([...state.strokes, undone.pop()]); },
  clear() { undone = [...state.strokes].reverse(); change([]); },
  help() {
    help.hidden = !help.hidden;
    find("[data-do=help]").setAttribute("aria-expanded", String(!help.hidden));
  },
};

function act(what) {
  if (!find(`[data-do=${what}]`).disabled) DO[what]();
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  const share = (n) => Math.round(Math.min(1.1, Math.max(-0.1, n)) * 1e4) / 1e4;
  return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
}

function finish() {
  if (!stroke) return;
  const done = stroke;
  stroke = null;
  undone = [];
  change([...state.strokes, done]);
}

canvas.addEventListener("pointerdown", (event) => {
  if (!tool || !image || event.button || !event.isPrimary) return;
  event.preventDefault();
  canvas.focus({ preventScroll: true });
  canvas.setPointerCapture(event.pointerId);
  stroke = begun(at = place(event));
  draw();
});
canvas.addEventListener("pointermove", (event) => {
  if (!event.isPrimary) return;
  at = place(event);
  if (stroke) for (const e of event.getCoalescedEvents?.() || []) stroke.points.push(place(e));
  if (stroke) stroke.points.push(at);
  if (tool) draw();
});
for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
  canvas.addEventListener(name, finish);
}
canvas.addEventListener("pointerleave", () => { at = null; draw(); });
canvas.addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (!tool || !image || event.ctrlKey || event.metaKey) return;
  at = at || [0.5, 0.5];
  if (moves[event.key]) {
    const far = event.shiftKey ? 0.005 : 0.02;
    at = at.map((n, k) => Math.min(1, Math.max(0, n + far * moves[event.key][k])));
  } else if (event.key === "Enter") {
    stroke = begun(at);
    finish();
  } else {
    return;
  }
  event.preventDefault();
  draw();
});
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { view: wanted, tool: chosen, zoom: how, do: what, variant } = button.dataset;
  if (wanted) look(wanted);
  if (variant) { compare(Number(variant)); look("both"); }
  if (how) zoomBy(how);
  if (what) act(what);
  if (chosen) {
    tool = tool === chosen ? "" : chosen;
    show();
    if (event.detail) canvas.focus({ preventScroll: true });  // Space is to move the photo
  }
});
brush.addEventListener("input", draw);
divider.addEventListener("input", divide);
