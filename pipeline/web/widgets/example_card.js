// An example: its picture, title and text; a click is `input`.
const button = element.querySelector("button"), { picture, title, text } = props.value;
button.querySelector("img").src = picture;
button.querySelector("b").textContent = title;
button.querySelector(".text").textContent = text;
button.addEventListener("click", () => trigger("input"));
