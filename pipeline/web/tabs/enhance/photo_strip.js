// Small photos in a row, one of which is chosen by a click.
const strip = element.querySelector(".strip");

function button({ id, src, alt, done, out }, current) {
  const made = document.createElement("button"), img = new Image();
  const text = document.createElement("span");
  made.type = "button";
  made.title = alt;
  made.dataset.id = id;
  made.classList.toggle("done", Boolean(done));
  made.classList.toggle("out", Boolean(out));
  if (current) made.setAttribute("aria-pressed", String(id === current));
  if (src) img.src = src;
  img.alt = "";
  text.textContent = alt;
  made.append(img, text);
  return made;
}

function take(value) {
  const { photos = [], current = "", label = "" } = value || {};
  const focused = strip.contains(document.activeElement) && document.activeElement.dataset.id;
  const at = strip.scrollLeft;
  strip.setAttribute("aria-label", label);
  element.querySelector("p").textContent = label;
  strip.replaceChildren(...photos.map((photo) => button(photo, current)));
  strip.scrollLeft = at;
  for (const one of strip.children) if (one.dataset.id === focused) one.focus();
}

strip.addEventListener("click", (event) => {
  const chosen = event.target.closest("button");
  if (!chosen) return;
  props.value = { picked: chosen.dataset.id };
  trigger("input");
});
watch("value", () => { if (!props.value?.picked) take(props.value); });
take(props.value);
