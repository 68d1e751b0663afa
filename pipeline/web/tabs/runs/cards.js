// Buttons with data-key: a click on one marks it and sends its key.
element.addEventListener("click", (event) => {
  const card = event.target.closest("[data-key]");
  if (!card) return;
  for (const other of element.querySelectorAll("[aria-pressed=true]")) {
    other.setAttribute("aria-pressed", "false");
  }
  if (card.hasAttribute("aria-pressed")) card.setAttribute("aria-pressed", "true");
  trigger("select", { key: card.dataset.key });
});
