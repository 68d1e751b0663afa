// The canvas of painter.html. Draws what the server shows, and over it the strokes that the
// server has not answered yet. Coordinates are shares of the picture, so its size is no matter.
const PAINT = "rgba(255, 64, 129, 0.75)", ERASE = "rgba(20, 20, 20, 0.6)";
const HELP = "Paint or erase on the photo. By keyboard: arrows move the brush, Space draws.";
const canvas = element.querySelector("canvas"), pen = canvas.getContext("2d");
const tools = element.querySelector(".tools"), caption = element.querySelector("figcaption");
const brush = element.querySelector("[name=brush]");
let state = { id: "", seq: 0, picture: "", alt: "", strokes: [] };
let image = null, answered = 0, tool = "", stroke = null, at = null;

const radius = () => brush.value / 200;
const begun = (point) => ({ paint: tool === "paint", radius: radius(), points: [point] });

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
  state.strokes.slice(answered).forEach(line);
  if (stroke) line(stroke);
  if (tool && at) {
    const side = Math.max(canvas.width, canvas.height);
    for (const [colour, width] of [["#000", 3], ["#fff", 1.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width * canvas.width / (canvas.clientWidth || canvas.width);
      pen.beginPath();
      pen.arc(at[0] * canvas.width, at[1] * canvas.height, radius() * side, 0, 7);
      pen.stroke();
    }
  }
}

function buttons() {
  tools.querySelectorAll("[data-do]").forEach((b) => { b.disabled = !state.strokes.length; });
  tools.querySelectorAll("[data-tool]").forEach((b) => {
    b.setAttribute("aria-pressed", String(b.dataset.tool === tool));
  });
  canvas.style.touchAction = tool ? "none" : "auto";
  canvas.style.cursor = tool ? "none" : "default";
}

function take(value) {
  const next = value && value.id !== undefined ? value : { ...state, id: "", picture: "", strokes: [] };
  if (next.id && next.id === state.id && (next.seq < state.seq || !next.picture)) {
    if (next.picture) tell();  // an answer to older strokes took the newer ones' place: once more
    return;
  }
  if (next.id !== state.id) stroke = at = null;
  state = { ...next, strokes: [...next.strokes] };
  tools.hidden = canvas.hidden = !state.picture;
  if (!state.picture) { image = null; canvas.dataset.seq = ""; return; }
  const loaded = new Image(), mine = state;
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
    caption.textContent = tool ? HELP : mine.alt;
    draw();
  };
  loaded.src = state.picture;
  buttons();
}

function tell() {
  const { id, seq, strokes } = state;
  props.value = { id, seq, strokes: [...strokes], picture: "", alt: "" };
  trigger("input");
}

function send() {
  state.seq += 1;
  answered = Math.min(answered, state.strokes.length);
  buttons();
  draw();
  tell();
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  const share = (n) => Math.round(Math.min(1.1, Math.max(-0.1, n)) * 1e4) / 1e4;
  return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
}

function finish() {
  if (!stroke) return;
  state.strokes.push(stroke);
  stroke = null;
  send();
}

canvas.addEventListener("pointerdown", (event) => {
  if (!tool || !image || event.button) return;
  event.preventDefault();
  canvas.focus({ preventScroll: true });
  canvas.setPointerCapture(event.pointerId);
  stroke = begun(place(event));
  draw();
});
canvas.addEventListener("pointermove", (event) => {
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
  if (!tool || !image) return;
  at = at || [0.5, 0.5];
  if (moves[event.key]) {
    const far = event.shiftKey ? 0.005 : 0.02;
    at = at.map((n, k) => Math.min(1, Math.max(0, n + far * moves[event.key][k])));
  } else if (event.key === " " || event.key === "Enter") {
    stroke = begun(at);
    finish();
  } else {
    return;
  }
  event.preventDefault();
  draw();
});
tools.addEventListener("click", (event) => {
  const { tool: picked, do: what } = event.target.dataset;
  if (picked) {
    tool = tool === picked ? "" : picked;
    caption.textContent = tool ? HELP : state.alt;
    buttons();
    draw();
  } else if (what && state.strokes.length) {
    if (what === "undo") state.strokes.pop();
    else state.strokes = [];
    send();
  }
});
brush.addEventListener("input", draw);

watch("value", () => take(props.value));
take(props.value);
