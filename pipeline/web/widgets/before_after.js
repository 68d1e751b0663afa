// Two pictures over each other: left of the bar the one before, right of it the one after.
const both = element.querySelector(".both"), range = element.querySelector("input");
const [before, after] = element.querySelectorAll("img");
const words = element.querySelector("figcaption span"), [link, alone] = element.querySelectorAll("a");

function move() {
  both.style.setProperty("--at", range.value + "%");
  range.setAttribute("aria-valuetext", range.value + "% before");
}

function take(value) {
  const { before: old = "", after: now = "", cutout = "", alt = "" } = value || {};
  both.classList.toggle("single", !old);
  if (old) before.src = old;
  if (now) after.src = now;
  before.alt = old ? alt + ", before" : "";
  after.alt = old ? alt + ", after" : alt;
  words.textContent = alt;
  link.href = now || "#";
  alone.hidden = !cutout;
  alone.href = cutout || "#";
  alone.download = `cutout-${decodeURIComponent(cutout.split("/").pop())}`;
  range.disabled = !old;
  range.value = 50;
  move();
}

range.addEventListener("input", move);
watch("value", () => take(props.value));
take(props.value);
