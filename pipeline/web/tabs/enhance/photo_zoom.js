// Zoom and pan of photo_view.js: the sheet with the picture, moved and scaled in the stage.
const MOST_ZOOM = 16, STEP = 1.25;
let zoom = 1, left = 0, top_ = 0, space = false, drag = null;
const touches = new Map();

function arrange() {
  const above = element.getBoundingClientRect().top + scrollY;  // the photo fills the window below
  element.style.setProperty("--above", `${Math.round(above)}px`);
  const room = [stage.clientWidth, stage.clientHeight];
  const fits = Math.min(room[0] / canvas.width, room[1] / canvas.height);
  const size = [canvas.width * fits, canvas.height * fits];
  const within = (v, k) => {
    const spare = room[k] - size[k] * zoom;
    return spare >= 0 ? spare / 2 : Math.min(0, Math.max(spare, v));
  };
  [left, top_] = [within(left, 0), within(top_, 1)];
  sheet.style.width = `${size[0]}px`;
  sheet.style.height = `${size[1]}px`;
  sheet.style.transform = `translate(${left}px, ${top_}px) scale(${zoom})`;
  sheet.style.setProperty("--zoom", zoom);
  find("[data-zoom=fit]").textContent = `${Math.round(zoom * 100)}%`;
}

function zoomTo(next, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  next = Math.min(MOST_ZOOM, Math.max(1, next));
  left = x - (x - left) * next / zoom;
  top_ = y - (y - top_) * next / zoom;
  zoom = next;
  arrange();
  show();
}

function fit() { zoom = 1; arrange(); }

function zoomBy(how) {
  zoomTo({ in: zoom * STEP, out: zoom / STEP, fit: 1 }[how]);
}

function inStage(event) {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

stage.addEventListener("wheel", (event) => {
  if (!image || inGrid()) return;
  event.preventDefault();
  zoomTo(zoom * Math.exp(-Math.max(-100, Math.min(100, event.deltaY)) / 400), ...inStage(event));
}, { passive: false });

function pinch() {
  const [[ax, ay], [bx, by]] = touches.values();
  return { span: Math.hypot(ax - bx, ay - by) || 1, x: (ax + bx) / 2, y: (ay + by) / 2 };
}

// In the capture phase, before brush and divider.
stage.addEventListener("pointerdown", (event) => {
  if (inGrid()) return;
  if (event.pointerType === "touch") touches.set(event.pointerId, inStage(event));
  const pinched = touches.size === 2;
  const idle = zoom > 1 && !event.button && (view === "mask" ? !tool : view === "result");
  if (!image || !(pinched || space || event.button === 1 || idle)) return;
  if (pinched) { stroke = null; draw(); }
  drag = pinched ? { ...pinch(), zoom } : { from: inStage(event), left, top: top_ };
  stage.setPointerCapture(event.pointerId);
  event.preventDefault();
  event.stopPropagation();
}, true);
stage.addEventListener("pointermove", (event) => {
  if (touches.has(event.pointerId)) touches.set(event.pointerId, inStage(event));
  if (!drag) return;
  event.stopPropagation();
  if (drag.span) {
    if (touches.size === 2) zoomTo(drag.zoom * pinch().span / drag.span, drag.x, drag.y);
    return;
  }
  const [x, y] = inStage(event);
  left = drag.left + x - drag.from[0];
  top_ = drag.top + y - drag.from[1];
  arrange();
}, true);
for (const name of ["pointerup", "pointercancel"]) {
  stage.addEventListener(name, (event) => {
    touches.delete(event.pointerId);
    drag = null;
  }, true);
}
new ResizeObserver(arrange).observe(stage);
