() => {
  // A picture that is dropped anywhere on the tab is given to the upload button.
  const input = () => document.querySelector("#create-png input[type=file]");
  const here = (event) =>
    event.dataTransfer?.types.includes("Files") &&
    input()?.closest("[role=tabpanel]")?.contains(event.target);
  for (const name of ["dragenter", "dragover", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!here(event)) return;
      event.preventDefault();
      event.stopPropagation();
      if (name !== "drop" || !event.dataTransfer.files.length) return;
      const one = new DataTransfer();
      one.items.add(event.dataTransfer.files[0]);
      input().files = one.files;
      input().dispatchEvent(new Event("change", { bubbles: true }));
    }, true);
  }
}
