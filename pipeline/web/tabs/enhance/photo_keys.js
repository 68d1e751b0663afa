// Keys of photo_view.js. They work wherever the focus is, but not while text is typed.
const RERENDER = "#enhance-go", PLAIN = ["range", "checkbox", "radio", "button", "file"];
const KEYS = {
  1: () => look("mask"), 2: () => look("both"), 3: () => look("result"),
  "[": () => size(-2), "]": () => size(2),
  "+": () => zoomBy("in"), "=": () => zoomBy("in"), "-": () => zoomBy("out"), 0: () => zoomBy("fit"),
  "?": () => act("help"),
};
const WITH_CTRL = { z: () => act("undo"), Z: () => act("redo"), y: () => act("redo") };

function size(by) {
  brush.value = Number(brush.value) + by;
  draw();
}

function types(target) {
  const { nodeName, type } = target;
  return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(nodeName)
    || (nodeName === "INPUT" && !PLAIN.includes(type));
}

function hold(event, down) {
  const onStage = stage.matches(":hover") || event.target === canvas;
  if (event.key !== " " || (!onStage && !space)) return false;
  space = down;
  both.classList.toggle("moves", down);
  return true;
}

function onKey(event) {
  if (!element.isConnected) {
    document.removeEventListener("keydown", onKey);
    document.removeEventListener("keyup", onKey);
    return;
  }
  if (!element.offsetParent) return;  // another tab is open
  const down = event.type === "keydown", command = event.ctrlKey || event.metaKey;
  if (down && command && event.key === "Enter") document.querySelector(RERENDER)?.click();
  else if (types(event.target) || event.altKey) return;
  else if (hold(event, down)) ;
  else if (!down) return;
  else if (command && WITH_CTRL[event.key]) WITH_CTRL[event.key]();
  else if (!command && KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
}

document.addEventListener("keydown", onKey);
document.addEventListener("keyup", onKey);

watch("value", () => take(props.value));
take(props.value);
